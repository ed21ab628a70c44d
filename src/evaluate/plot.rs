//! Lines and dots as plain SVG, whose colours are the page's.

use std::fmt::{Result, Write};

/// A drawing with axes from 0 on.
pub(super) struct Plot<'a> {
    /// What it shows, in one sentence, for those who do not see it.
    pub(super) says: &'a str,
    pub(super) x: Axis<'a>,
    pub(super) y: Axis<'a>,
    /// A dashed line from corner to corner: what is claimed turns out.
    pub(super) diagonal: bool,
    pub(super) series: Vec<Series>,
}

/// An axis from 0 to its most.
pub(super) struct Axis<'a> {
    pub(super) label: &'a str,
    pub(super) most: f64,
    pub(super) is_percent: bool,
}

/// One line, with a dot at each point where dots have a size.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Radii of dots; none: a line alone.
    pub(super) radii: Option<Vec<f64>>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 48.0;
const TICKS: u32 = 5;

impl Plot<'_> {
    /// The drawing and its legend, as HTML.
    pub(super) fn write(&self, text: &mut String) -> Result {
        writeln!(
            text,
            "<div class=\"wide\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
            role=\"img\" aria-label=\"{}\">",
            escaped(self.says)
        )?;
        self.write_axes(text)?;
        for (at, series) in self.series.iter().enumerate() {
            self.write_series(text, at, series)?;
        }
        writeln!(text, "</svg></div>\n<ul class=\"legend\">")?;
        for (at, series) in self.series.iter().enumerate() {
            let name = escaped(&series.name);
            writeln!(text, "<li class=\"s{at}\"><i></i>{name}</li>")?;
        }
        writeln!(text, "</ul>")
    }

    fn write_axes(&self, text: &mut String) -> Result {
        for at in 0..=TICKS {
            let part = f64::from(at) / f64::from(TICKS);
            let (x, y) = (part * self.x.most, part * self.y.most);
            let (left, right) = (self.across(0.0), self.across(self.x.most));
            let (height, foot) = (self.up(y), self.up(0.0));
            writeln!(
                text,
                "<path class=\"grid\" d=\"M{left:.1} {height:.1}H{right:.1}\"/>\
                <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                left - 6.0,
                height + 4.0,
                self.y.tick(y),
                self.across(x),
                foot + 18.0,
                self.x.tick(x)
            )?;
        }
        writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
            <text transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            self.across(self.x.most / 2.0),
            HEIGHT - 8.0,
            escaped(self.x.label),
            self.up(self.y.most / 2.0),
            escaped(self.y.label)
        )?;
        if self.diagonal {
            let (x, y) = (self.across(self.x.most), self.up(self.y.most));
            let (x0, y0) = (self.across(0.0), self.up(0.0));
            writeln!(
                text,
                "<path class=\"even\" d=\"M{x0:.1} {y0:.1}L{x:.1} {y:.1}\"/>"
            )?;
        }
        Ok(())
    }

    fn write_series(&self, text: &mut String, at: usize, series: &Series) -> Result {
        let name = escaped(&series.name);
        write!(
            text,
            "<g class=\"s{at}\"><title>{name}</title><polyline points=\""
        )?;
        for (x, y) in &series.points {
            write!(text, "{:.1},{:.1} ", self.across(*x), self.up(*y))?;
        }
        write!(text, "\"/>")?;
        let radii = series.radii.iter().flatten();
        for ((x, y), radius) in series.points.iter().zip(radii) {
            let (x, y) = (self.across(*x), self.up(*y));
            write!(
                text,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"
            )?;
        }
        writeln!(text, "</g>")
    }

    fn across(&self, x: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (x / self.x.most).clamp(0.0, 1.0)
    }

    fn up(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y / self.y.most).clamp(0.0, 1.0)
    }
}

impl Axis<'_> {
    fn tick(&self, value: f64) -> String {
        if self.is_percent {
            let percent = 100.0 * value;
            let digits = usize::from(self.most < 0.05);
            format!("{percent:.digits$} %")
        } else if self.most > 10.0 {
            format!("{value:.0}")
        } else {
            format!("{value:.1}")
        }
    }
}

/// Text as it may stand in HTML, between tags and in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // What steers a terminal or turns text round is shown, not obeyed.
            c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) => {
                safe.extend(c.escape_unicode());
            }
            c => safe.push(c),
        }
    }
    safe
}
