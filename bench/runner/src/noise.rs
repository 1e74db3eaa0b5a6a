//! Estimates the uncertainty of results from the scatter of the rounds.

use crate::results::{Row, median};

/// Returns the ratios to the floor of each round that both contenders completed, for rates and for
/// times.
pub(crate) fn ratios(row: &Row, floor: &Row) -> Vec<f64> {
    ratios_of(row, floor, row.is_rate())
}

/// Returns the ratios of CPU time per call to the floor.
pub(crate) fn cpu_ratios(row: &Row, floor: &Row) -> Vec<f64> {
    let pairs = row.rounds.iter().filter_map(|round| {
        let same = floor.rounds.iter().find(|other| other.round == round.round)?;
        Some(round.cpu_ns / same.cpu_ns)
    });
    pairs.filter(|ratio| ratio.is_finite()).collect()
}

fn ratios_of(row: &Row, floor: &Row, rate: bool) -> Vec<f64> {
    let pairs = row.rounds.iter().filter_map(|round| {
        let same = floor.rounds.iter().find(|other| other.round == round.round)?;
        Some(match rate {
            true => round.calls_per_second / same.calls_per_second,
            false => round.median_ns / same.median_ns,
        })
    });
    pairs.filter(|ratio| ratio.is_finite()).collect()
}

/// Returns the relative uncertainty of the median of these values: two standard errors. Returns
/// `None` if there are too few values.
pub(crate) fn noise(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let len = sorted.len();
    let range = || sorted[len - 1] - sorted[0];
    let deviation = match len {
        0 | 1 => return None,
        // With so few values, the range of the sample is divided by its expected value in standard
        // deviations.
        2 => range() / 1.128,
        3 => range() / 1.693,
        4 => range() / 2.059,
        // Uses the interquartile range, so that a single disturbed round has no influence.
        _ => (quantile(&sorted, 0.75) - quantile(&sorted, 0.25)) / 1.349,
    };
    // The standard error of a median is a quarter larger than the standard error of a mean.
    let error = 1.2533 * deviation / (len as f64).sqrt();
    Some(2.0 * error / median(sorted).abs().max(f64::MIN_POSITIVE))
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_agree_make_no_noise() {
        assert_eq!(noise(&[2.0; 7]), Some(0.0));
        assert_eq!(noise(&[2.0]), None);
        assert_eq!(noise(&[]), None);
    }

    #[test]
    fn more_rounds_make_less_noise_and_wider_ones_more() {
        let narrow: Vec<f64> = (0..7).map(|round| 1.0 + 0.01 * f64::from(round)).collect();
        let wide: Vec<f64> = (0..7).map(|round| 1.0 + 0.10 * f64::from(round)).collect();
        let many: Vec<f64> = (0..28).map(|round| 1.0 + 0.01 * f64::from(round % 7)).collect();
        let of = |values: &[f64]| noise(values).unwrap();
        assert!(of(&narrow) < of(&wide));
        assert!(of(&many) < of(&narrow));
    }

    #[test]
    fn one_round_that_was_disturbed_says_nothing_of_the_others() {
        assert_eq!(noise(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0]), Some(0.0));
    }
}
