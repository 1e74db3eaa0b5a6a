//! Checks that a curve is constant or proportional, as expected.

use serde::{Deserialize, Serialize};

/// The expected growth of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expected {
    /// The value is constant.
    Flat,
    /// The value is proportional to the count.
    #[default]
    Linear,
}

/// Returns how a curve deviates from its expected growth, if it does. The points must be in
/// ascending order.
pub(crate) fn fault(points: &[(f64, f64)], expected: Expected) -> Option<String> {
    let last_two = points.len().saturating_sub(2)..points.len();
    last_two
        .filter_map(|index| match expected {
            Expected::Flat => too_high(points, index),
            Expected::Linear => too_steep(points, index),
        })
        .next_back()
}

/// Compares a point in the second half with the median of the first half.
fn too_high(points: &[(f64, f64)], index: usize) -> Option<String> {
    let first: Vec<f64> = points[..points.len().div_ceil(2)].iter().map(|point| point.1).collect();
    let usual = crate::results::median(first);
    let (count, value) = points[index];
    (value > usual * TOLERANCE && index >= points.len() / 2).then(|| {
        format!("{value:.2} at {count} is more than {TOLERANCE} times the usual {usual:.2}")
    })
}

/// Compares a point with the line through two earlier points: the first one, and the last one with
/// a count that is lower by at least the factor [`STEP`]. The fixed cost, which the first point
/// contains, is not part of the growth.
fn too_steep(points: &[(f64, f64)], index: usize) -> Option<String> {
    let (count, value) = points[index];
    let first = *points.first()?;
    let middle = points[1..index.max(1)].iter().rev().find(|point| point.0 <= count / STEP)?;
    let slope = ((middle.1 - first.1) / (middle.0 - first.0)).max(0.0);
    let line = middle.1.max(first.1) + slope * (count - middle.0);
    (value > line * TOLERANCE).then(|| {
        format!(
            "{value:.2} at {count} is more than {TOLERANCE} times {line:.2}, to which the line \
             through {:.2} at {} leads",
            middle.1, middle.0
        )
    })
}

/// Tolerance for scatter and caches. A quadratic curve exceeds it as soon as its quadratic part is
/// visible.
const TOLERANCE: f64 = 2.0;

/// Minimum ratio of the counts of compared points, so that a quadratic curve exceeds the tolerance.
const STEP: f64 = 2.5;

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(of: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        [1.0, 10.0, 100.0, 1_000.0, 3_000.0, 10_000.0].map(|count| (count, of(count))).into()
    }

    #[test]
    fn a_constant_is_flat_and_linear() {
        for points in [curve(|_| 9.0), curve(|count| 9.0 + 2.0 * (count / 7.0).sin())] {
            assert_eq!(fault(&points, Expected::Flat), None);
            assert_eq!(fault(&points, Expected::Linear), None);
        }
    }

    #[test]
    fn proportional_growth_is_linear_and_not_flat() {
        for points in [curve(|count| 0.01 * count), curve(|count| 20.0 + 0.05 * count)] {
            assert_eq!(fault(&points, Expected::Linear), None);
            assert!(fault(&points, Expected::Flat).is_some());
        }
    }

    #[test]
    fn a_square_is_neither_also_behind_a_large_constant() {
        for points in [curve(|count| count * count), curve(|count| 20.0 + 1e-6 * count * count)] {
            assert!(fault(&points, Expected::Linear).is_some(), "{points:?}");
            assert!(fault(&points, Expected::Flat).is_some());
        }
    }

    #[test]
    fn a_logarithm_more_is_within_what_is_allowed() {
        assert_eq!(fault(&curve(|count| 1.0 + count * (1.0 + count.ln())), Expected::Linear), None);
    }

    #[test]
    fn a_few_points_tell_nothing_wrong() {
        for points in [&[][..], &[(1.0, 5.0)], &[(1.0, 5.0), (10.0, 6.0)]] {
            assert_eq!(fault(points, Expected::Linear), None);
            assert_eq!(fault(points, Expected::Flat), None);
        }
    }
}
