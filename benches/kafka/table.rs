//! What was measured: a line of JSON a run, and a table of medians.

use std::fmt;

use serde_json::{Map, Value};

/// One run's figures, in order.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    stage: String,
    who: String,
    figures: Vec<(&'static str, f64)>,
}

impl Run {
    pub(crate) fn new(stage: &str, who: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            who: who.to_owned(),
            figures: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, figure: f64) -> Self {
        self.figures.push((name, figure));
        self
    }

    fn figure(&self, name: &str) -> Option<f64> {
        let found = self.figures.iter().find(|(known, _)| *known == name);
        found.map(|(_, figure)| *figure)
    }
}

/// Every run, in the order they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(Vec<Run>);

impl Table {
    /// Takes a run, and prints it.
    pub(crate) fn add(&mut self, run: Run) {
        let mut line = Map::new();
        line.insert("stage".to_owned(), run.stage.clone().into());
        line.insert("who".to_owned(), run.who.clone().into());
        for (name, figure) in &run.figures {
            line.insert((*name).to_owned(), ((figure * 1e3).round() / 1e3).into());
        }
        println!("{}", Value::Object(line));
        self.0.push(run);
    }

    /// Takes a run, if there was one.
    pub(crate) fn extend(&mut self, run: Option<Run>) {
        if let Some(run) = run {
            self.add(run);
        }
    }

    /// A figure's median, least and most over the runs of somebody.
    fn summary(&self, stage: &str, who: &str, name: &str) -> Option<[f64; 3]> {
        let of = self
            .0
            .iter()
            .filter(|run| run.stage == stage && run.who == who);
        let mut figures: Vec<f64> = of.filter_map(|run| run.figure(name)).collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.get(figures.len() / 2)?;
        Some([*middle, *figures.first()?, *figures.last()?])
    }

    fn distinct<T: PartialEq>(&self, of: impl Fn(&Run) -> Vec<T>) -> Vec<T> {
        let mut found = Vec::new();
        for one in self.0.iter().flat_map(of) {
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in self.distinct(|run| vec![run.stage.clone()]) {
            let of_stage = |run: &Run| run.stage == stage;
            let who = self.distinct(|run| Vec::from_iter(of_stage(run).then(|| run.who.clone())));
            let names = self.distinct(|run| {
                let names = run.figures.iter().map(|(name, _)| *name);
                if of_stage(run) {
                    names.collect()
                } else {
                    Vec::new()
                }
            });
            writeln!(f, "\n| {stage} | {} |", who.join(" | "))?;
            writeln!(f, "| --- |{}", " --- |".repeat(who.len()))?;
            for name in names {
                write!(f, "| {name} |")?;
                for one in &who {
                    match self.summary(&stage, one, name) {
                        Some([middle, least, most]) => {
                            write!(
                                f,
                                " {} [{} – {}] |",
                                short(middle),
                                short(least),
                                short(most)
                            )?;
                        }
                        None => write!(f, " |")?,
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// A figure with as many digits as it is worth.
fn short(figure: f64) -> String {
    if figure.abs() >= 100.0 {
        format!("{figure:.0}")
    } else if figure.abs() >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.2}")
    }
}
