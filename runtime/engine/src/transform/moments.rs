//! Skewness and kurtosis of a column, as Spark defines them: of the population, the kurtosis as an excess over 3.
//!
//! Central moments are kept up to date value by value and put together between partitions by Pébay's formulas ("Formulas
//! for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical Moments", 2008), since sums of
//! plain powers would lose what matters of values that lie far from 0.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Accumulator, AggregateUDF, Volatility, create_udaf};

/// `m3 / m2^1.5` of one column of numbers; null where all are equal.
pub(super) fn skewness() -> AggregateUDF {
    of_moments("skewness", |m| m.n.sqrt() * m.m3 / m.m2.powf(1.5))
}

/// `m4 / m2² - 3` of one column of numbers; null where all are equal.
pub(super) fn kurtosis() -> AggregateUDF {
    of_moments("kurtosis", |m| m.n * m.m4 / (m.m2 * m.m2) - 3.0)
}

fn of_moments(name: &str, result: fn(&Moments) -> f64) -> AggregateUDF {
    let number = Arc::new(DataType::Float64);
    let state = vec![DataType::Float64; STATE];
    create_udaf(
        name,
        vec![DataType::Float64],
        number,
        Volatility::Immutable,
        Arc::new(move |_| {
            let moments = Moments::default();
            Ok(Box::new(OfMoments { moments, result }))
        }),
        Arc::new(state),
    )
}

/// Numbers in [`Moments`].
const STATE: usize = 5;

/// Count, mean, and sums of powers of the distances from it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    fn of_value(mean: f64) -> Self {
        Self {
            n: 1.0,
            mean,
            ..Self::default()
        }
    }

    /// Those of both sets of values together.
    fn with(self, other: Self) -> Self {
        let n = self.n + other.n;
        if self.n == 0.0 || other.n == 0.0 {
            return if other.n == 0.0 { self } else { other };
        }
        let (a, b) = (self.n, other.n);
        let distance = other.mean - self.mean;
        let (d, d2) = (distance / n, distance * distance / n);
        Self {
            n,
            mean: self.mean + b * d,
            m2: self.m2 + other.m2 + a * b * d2,
            m3: self.m3
                + other.m3
                + a * b * (a - b) * d * d2
                + 3.0 * d * (a * other.m2 - b * self.m2),
            m4: self.m4
                + other.m4
                + a * b * (a * a - a * b + b * b) * d * d * d2
                + 6.0 * d * d * (a * a * other.m2 + b * b * self.m2)
                + 4.0 * d * (a * other.m3 - b * self.m3),
        }
    }

    fn state(&self) -> [f64; STATE] {
        [self.n, self.mean, self.m2, self.m3, self.m4]
    }

    fn of_state([n, mean, m2, m3, m4]: [f64; STATE]) -> Self {
        Self {
            n,
            mean,
            m2,
            m3,
            m4,
        }
    }
}

#[derive(Debug)]
struct OfMoments {
    moments: Moments,
    result: fn(&Moments) -> f64,
}

impl Accumulator for OfMoments {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let numbers = values[0].as_primitive::<Float64Type>();
        for value in numbers.iter().flatten() {
            self.moments = self.moments.with(Moments::of_value(value));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let is_defined = self.moments.n > 0.0 && self.moments.m2 != 0.0;
        let value = is_defined.then(|| (self.result)(&self.moments));
        Ok(ScalarValue::Float64(value))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let numbers = self.moments.state().into_iter();
        Ok(numbers.map(ScalarValue::from).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns: Vec<_> = states
            .iter()
            .map(|column| column.as_primitive::<Float64Type>())
            .collect();
        for row in 0..states[0].len() {
            let state = std::array::from_fn(|i| columns[i].value(row));
            self.moments = self.moments.with(Moments::of_state(state));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Float64Array;

    fn of(values: &[f64]) -> Moments {
        let values = values.iter().map(|v| Moments::of_value(*v));
        values.fold(Moments::default(), Moments::with)
    }

    /// Sums of powers of the distances from the mean, by their definition.
    fn plain(values: &[f64]) -> [f64; 3] {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        [2, 3, 4].map(|power| values.iter().map(|v| (v - mean).powi(power)).sum())
    }

    #[test]
    fn parts_together_are_the_whole() {
        let values = [1e6, 1e6 + 3.0, 1e6 + 4.0, 1e6 - 9.0, 1e6 + 1.5, 1e6];
        let [m2, m3, m4] = plain(&values);
        for cut in 0..=values.len() {
            let (left, right) = values.split_at(cut);
            let whole = of(left).with(of(right));
            assert_eq!(whole.n, 6.0);
            for (found, wanted) in [(whole.m2, m2), (whole.m3, m3), (whole.m4, m4)] {
                assert!(
                    (found - wanted).abs() < 1e-6 * wanted.abs(),
                    "{found} {wanted}"
                );
            }
        }
    }

    #[test]
    fn equal_values_and_none_have_neither() {
        let mut accumulator = OfMoments {
            moments: Moments::default(),
            result: |m| m.m4 / m.m2,
        };
        assert_eq!(accumulator.evaluate().unwrap(), ScalarValue::Float64(None));
        let equal: ArrayRef = Arc::new(Float64Array::from(vec![Some(2.0), None, Some(2.0)]));
        accumulator.update_batch(&[equal]).unwrap();
        assert_eq!(accumulator.evaluate().unwrap(), ScalarValue::Float64(None));
    }
}
