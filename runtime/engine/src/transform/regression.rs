//! Least squares for [`super::Filling`]: a number as a weighted sum of others.
//!
//! Predictors come standardised (mean 0, deviation 1 or a little less where values are missing), so that one tiny ridge
//! keeps columns that say the same from making the weights explode.

/// Added to the diagonal of the standardised products.
const RIDGE: f64 = 1e-9;

/// Rows that it takes to learn one number.
const ROWS_A_WEIGHT: f64 = 2.0;

/// The weights of standardised predictors, and how much of the variance they explain.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    pub(super) weights: Vec<f64>,
    /// 0 to 1, of the rows that were learnt from.
    pub(super) explained: f64,
}

/// What is learnt from: means over `rows` rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Products {
    pub(super) rows: f64,
    /// Of each pair of predictors, whole and symmetric.
    pub(super) predictors: Vec<Vec<f64>>,
    /// Of each predictor with the target, which has its mean taken away.
    pub(super) target: Vec<f64>,
    /// Of the target with itself.
    pub(super) variance: f64,
}

/// The fit, unless the mean alone is as good: there are less than [`ROWS_A_WEIGHT`] rows for each weight, or no more is
/// explained than as many random columns would explain.
pub(super) fn fit(products: &Products) -> Option<Fit> {
    let count = products.target.len();
    #[expect(clippy::cast_precision_loss, reason = "there are a few predictors")]
    let learnt = count as f64 + 1.0;
    let free = products.rows - learnt;
    if count == 0 || products.rows < ROWS_A_WEIGHT * learnt || products.variance <= 0.0 {
        return None;
    }
    let weights = solve(&products.predictors, &products.target)?;
    let gain: f64 = weights
        .iter()
        .zip(&products.target)
        .map(|(w, t)| w * t)
        .sum();
    let own: f64 = (0..count)
        .map(|i| {
            let row = products.predictors[i].iter().zip(&weights);
            weights[i] * row.map(|(p, w)| p * w).sum::<f64>()
        })
        .sum();
    let unexplained = ((products.variance - 2.0 * gain + own) / products.variance).max(0.0);
    let adjusted = 1.0 - unexplained * (products.rows - 1.0) / free;
    (adjusted > 0.0).then_some(Fit {
        weights,
        explained: 1.0 - unexplained,
    })
}

/// Solves `a x = b` for a symmetric, positive `a` by Cholesky's decomposition.
fn solve(a: &[Vec<f64>], b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let mut lower = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let ridge = if i == j { RIDGE } else { 0.0 };
            let rest = a[i][j] + ridge - known;
            if i == j && (rest.is_nan() || rest <= 0.0) {
                return None;
            }
            lower[i][j] = match i == j {
                true => rest.sqrt(),
                false => rest / lower[j][j],
            };
        }
    }
    let mut x = vec![0.0; n];
    for i in 0..n {
        let known: f64 = (0..i).map(|k| lower[i][k] * x[k]).sum();
        x[i] = (b[i] - known) / lower[i][i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| lower[k][i] * x[k]).sum();
        x[i] = (x[i] - known) / lower[i][i];
    }
    x.iter().all(|value: &f64| value.is_finite()).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn products(rows: f64, shared: f64, target: [f64; 2]) -> Products {
        Products {
            rows,
            predictors: vec![vec![1.0, shared], vec![shared, 1.0]],
            target: target.to_vec(),
            variance: 1.0,
        }
    }

    #[test]
    fn independent_predictors_weigh_what_they_have_in_common_with_the_target() {
        let found = fit(&products(100.0, 0.0, [0.6, 0.8])).unwrap();
        for (weight, wanted) in found.weights.iter().zip([0.6, 0.8]) {
            assert!((weight - wanted).abs() < 1e-6);
        }
        assert!((found.explained - 1.0).abs() < 1e-6);
    }

    #[test]
    fn columns_that_say_the_same_share_the_weight() {
        let found = fit(&products(100.0, 1.0, [0.5, 0.5])).unwrap();
        assert!((found.weights[0] + found.weights[1] - 0.5).abs() < 1e-6);
        assert!((found.weights[0] - found.weights[1]).abs() < 1e-6);
    }

    #[test]
    fn the_mean_is_as_good_where_nothing_is_explained_or_rows_are_few() {
        assert_eq!(fit(&products(100.0, 0.0, [0.01, 0.01])), None);
        assert_eq!(fit(&products(5.0, 0.0, [0.6, 0.8])), None);
        assert!(fit(&products(6.0, 0.0, [0.6, 0.8])).is_some());
        let none = Products {
            variance: 0.0,
            ..products(100.0, 0.0, [0.0, 0.0])
        };
        assert_eq!(fit(&none), None);
    }
}
