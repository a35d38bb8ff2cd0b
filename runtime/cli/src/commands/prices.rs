//! The operator's prices of CPU time and memory, as options and variables of the environment.

use tenon_jobs::Prices;

/// What commands that show costs have in common.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PriceArgs {
    /// What an hour of CPU time costs; with it, or the price of memory, runs and their nodes are shown with their cost.
    #[arg(
        long,
        value_name = "PRICE",
        env = "TENON_PRICE_CORE_HOUR",
        value_parser = price
    )]
    price_core_hour: Option<f64>,

    /// What 10^9 bytes of memory cost for an hour.
    #[arg(
        long,
        value_name = "PRICE",
        env = "TENON_PRICE_GB_HOUR",
        value_parser = price
    )]
    price_gb_hour: Option<f64>,
}

impl PriceArgs {
    pub(crate) fn prices(&self) -> Prices {
        Prices {
            core_hour: self.price_core_hour,
            gb_hour: self.price_gb_hour,
        }
    }
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.trim().parse::<f64>().ok();
    let price = price.filter(|price| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "a price is a number from 0 on, such as 0.05".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_a_number_that_can_be_paid() {
        assert_eq!(price("0.05"), Ok(0.05));
        for bad in ["", "-1", "inf", "NaN", "5 EUR"] {
            assert!(price(bad).is_err(), "{bad}");
        }
    }
}
