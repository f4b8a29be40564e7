//! What is printed.

use crate::process::Kind;

/// Measurements of one thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    None,
    /// So many times the real server's.
    Times(f64),
    AtMost(f64),
}

pub(crate) struct Row {
    what: String,
    unit: &'static str,
    mark: Mark,
    pub(crate) figures: Vec<(Kind, Samples)>,
}

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn show(&self) -> String {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self.0.len() {
            1 => number(self.median()),
            _ => format!("{} ({}-{})", number(self.median()), number(least), number(greatest)),
        }
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        Self(samples.into_iter().collect())
    }
}

impl Row {
    pub(crate) fn new(what: &str, unit: &'static str, mark: Mark, figures: Vec<(Kind, Samples)>) -> Self {
        Self { what: what.into(), unit, mark, figures }
    }

    fn of(&self, kind: Kind) -> Option<&Samples> {
        self.figures.iter().find(|(of, _)| *of == kind).map(|(_, samples)| samples)
    }

    /// By how much the dev server's figure is the real one's.
    fn ratio(&self) -> Option<f64> {
        Some(self.of(Kind::Model)?.median() / self.of(Kind::Real)?.median())
    }

    /// Whether it is what it must be; where nothing is known of the real server, nobody can tell.
    fn is_met(&self) -> Option<bool> {
        match self.mark {
            Mark::None => None,
            Mark::Times(times) => self.ratio().map(|ratio| ratio >= times),
            Mark::AtMost(most) => self.of(Kind::Model).map(|samples| samples.median() <= most),
        }
    }
}

/// Prints the table. Tells whether no mark was missed.
pub(crate) fn print(rows: &[Row]) -> bool {
    println!("{:<46}{:>28}{:>28}{:>8}  wanted", "", "dev server", "ZooKeeper", "ratio");
    for row in rows {
        let show = |kind| row.of(kind).map_or_else(|| "-".into(), Samples::show);
        let ratio = row.ratio().map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
        let wanted = match row.mark {
            Mark::None => String::new(),
            Mark::Times(times) => format!("{times} times"),
            Mark::AtMost(most) => format!("at most {most}"),
        };
        let verdict = match row.is_met() {
            None => "",
            Some(true) => ": yes",
            Some(false) => ": MISSED",
        };
        let what = format!("{}, {}", row.what, row.unit);
        println!("{what:<46}{:>28}{:>28}{ratio:>8}  {wanted}{verdict}", show(Kind::Model), show(Kind::Real));
    }
    rows.iter().all(|row| row.is_met() != Some(false))
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1e4 => format!("{:.0}k", value / 1e3),
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}
