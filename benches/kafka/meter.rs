//! What a process took: processor time and memory, as `/proc` counts them.

/// A tick of `/proc`'s, in seconds.
const TICK: f64 = 0.01;

/// Processor seconds of a process and the children it waited for, user and system.
pub(crate) fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(11).take(4);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        * TICK
}

/// The most memory a process had resident so far, in megabytes.
pub(crate) fn peak(process: u32) -> f64 {
    status(process, "VmHWM:")
}

/// The memory a process has resident, in megabytes.
pub(crate) fn resident(process: u32) -> f64 {
    status(process, "VmRSS:")
}

fn status(process: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.map_or(0.0, |kilobytes: f64| kilobytes / 1024.0)
}

/// Processor seconds of the whole machine.
pub(crate) fn busy() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let fields = first.split_whitespace().skip(1).enumerate();
    let busy = fields.filter(|(at, _)| !matches!(at, 3 | 4) && *at < 8);
    busy.filter_map(|(_, field)| field.parse::<f64>().ok())
        .sum::<f64>()
        * TICK
}

/// The value below which a share of the values lies; the values are sorted here.
pub(crate) fn percentile(values: &mut [i64], share: f64) -> f64 {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil().max(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among the values"
    )]
    let at = rank as usize - 1;
    values.get(at).map_or(f64::NAN, |value| *value as f64)
}
