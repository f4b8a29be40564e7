//! Slices of ours and of the limit in turn, and what is made of them.

use std::fmt::Write as _;

/// What one row shows.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Vec<f64>,
    /// The same work by the limit, slice by slice; empty when the target is a figure of its own.
    pub(crate) limit: Vec<f64>,
    pub(crate) target: Target,
}

/// What the row is to show: of the ratio ours ÷ limit, or of ours when there is no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Only told.
    None,
}

/// Median and quartiles.
#[derive(Clone, Copy, Debug)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, target: Target) -> Self {
        Self { what: what.into(), unit, ours: Vec::new(), limit: Vec::new(), target }
    }

    fn judged(&self) -> Spread {
        if self.limit.is_empty() {
            return spread(&self.ours);
        }
        // Pair by pair: what disturbs the machine for seconds disturbs both of a pair.
        let ratios: Vec<_> = self.ours.iter().zip(&self.limit).map(|(ours, limit)| ours / limit).collect();
        spread(&ratios)
    }

    fn verdict(&self) -> String {
        let median = self.judged().median;
        match self.target {
            Target::AtLeast(target) if median >= target => format!("≥ {target}: met"),
            Target::AtLeast(target) => format!("≥ {target}: MISSED"),
            Target::AtMost(target) if median <= target => format!("≤ {target}: met"),
            Target::AtMost(target) => format!("≤ {target}: MISSED"),
            Target::None => "–".to_owned(),
        }
    }
}

/// The table, as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | unit | ours | limit | ours ÷ limit (quartiles) | target |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let ours = spread(&row.ours);
        let (limit, ratio) = if row.limit.is_empty() {
            ("–".to_owned(), format!("({} to {})", figure(ours.low), figure(ours.high)))
        } else {
            let ratio = row.judged();
            let ratio = format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.low, ratio.high);
            (figure(spread(&row.limit).median), ratio)
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {limit} | {ratio} | {} |",
            row.what,
            row.unit,
            figure(ours.median),
            row.verdict()
        );
    }
    text
}

/// The median of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    spread(figures).median
}

fn spread(figures: &[f64]) -> Spread {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| match sorted.len() {
        0 => f64::NAN,
        len => sorted[((len - 1) as f64 * share).round() as usize],
    };
    Spread { low: at(0.25), median: at(0.5), high: at(0.75) }
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e4 => format!("{:.1} k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
