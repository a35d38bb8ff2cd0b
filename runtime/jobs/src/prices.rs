//! [`Prices`]: what an operator says that cores and memory cost, and what a run and its nodes cost by that.
//!
//! Costs are not kept: what was used is, so that another price tells what the same runs would have cost by it.

use crate::metrics::RunMetrics;

/// Prices, in whatever money the operator counts. Without one, what it is for costs nothing that is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prices {
    /// Of one core for an hour, times the CPU time that was used.
    pub core_hour: Option<f64>,
    /// Of 10^9 bytes of memory for an hour.
    pub gb_hour: Option<f64>,
}

const MICROS_AN_HOUR: f64 = 3600e6;
const BYTE_SECONDS_A_GB_HOUR: f64 = 3600e9;

impl Prices {
    /// Whether there is none.
    #[must_use]
    pub fn are_unknown(&self) -> bool {
        self.core_hour.is_none() && self.gb_hour.is_none()
    }

    /// The cost of so much CPU time and memory; `None` without prices.
    #[must_use]
    pub fn cost(&self, cpu_micros: u64, memory_byte_seconds: f64) -> Option<f64> {
        let cores = cpu_micros as f64 / MICROS_AN_HOUR * self.core_hour.unwrap_or(0.0);
        let memory = memory_byte_seconds / BYTE_SECONDS_A_GB_HOUR * self.gb_hour.unwrap_or(0.0);
        (!self.are_unknown()).then_some(cores + memory)
    }
}

impl RunMetrics {
    /// The same with what the run and each of its nodes cost.
    #[must_use]
    pub fn priced(mut self, prices: &Prices) -> Self {
        self.cost = prices.cost(self.cpu_micros, self.memory_byte_seconds);
        for node in &mut self.nodes {
            node.cost = prices.cost(node.cpu_micros, node.memory_byte_seconds);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::NodeMetrics;

    #[test]
    fn an_hour_of_a_core_and_a_gigabyte_cost_their_prices() {
        let prices = Prices {
            core_hour: Some(0.5),
            gb_hour: Some(0.25),
        };
        assert_eq!(prices.cost(3_600_000_000, 3600e9), Some(0.75));
        assert_eq!(prices.cost(1_800_000_000, 0.0), Some(0.25));
        let only_memory = Prices {
            core_hour: None,
            ..prices
        };
        assert_eq!(only_memory.cost(3_600_000_000, 3600e9), Some(0.25));
        assert_eq!(Prices::default().cost(1, 1.0), None);
    }

    #[test]
    fn a_run_costs_more_than_its_nodes() {
        let node = NodeMetrics {
            cpu_micros: 3_600_000_000,
            ..NodeMetrics::default()
        };
        let metrics = RunMetrics {
            nodes: vec![node],
            cpu_micros: 7_200_000_000,
            ..RunMetrics::default()
        };
        let prices = Prices {
            core_hour: Some(1.0),
            gb_hour: None,
        };
        let priced = metrics.clone().priced(&prices);
        assert_eq!((priced.cost, priced.nodes[0].cost), (Some(2.0), Some(1.0)));
        assert_eq!(metrics.clone().priced(&Prices::default()), metrics);
    }
}
