//! What a node did, in words and numbers for people.

use super::{Graph, GraphNode};
use crate::metrics::NodeMetrics;

/// Rows and bytes.
pub(super) fn amounts(node: &NodeMetrics) -> String {
    let rows = match (node.rows_in, node.rows_out) {
        (into, out) if into == out || node.bytes_read.is_some() => format!("{} rows", count(out)),
        (into, out) => format!("{} → {} rows", count(into), count(out)),
    };
    let parts = [
        Some(rows),
        node.bytes_read.map(|size| format!("read {}", bytes(size))),
        node.bytes_written
            .map(|size| format!("wrote {}", bytes(size))),
        some(node.rows_dropped).map(|rows| format!("{} dropped", count(rows))),
        some(node.rows_quarantined).map(|rows| format!("{} in quarantine", count(rows))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Time, memory, and what was kept on disk; the part of the time that it took, of the node that took most.
pub(super) fn costs(graph: &Graph, id: &str, node: &GraphNode) -> String {
    let Some(metrics) = &node.metrics else {
        return String::new();
    };
    let time = match graph.is_slowest(id) {
        true => format!(
            "{} ({} % of the time)",
            time(metrics.cpu_micros),
            graph.percent(node)
        ),
        false => time(metrics.cpu_micros),
    };
    let parts = [
        Some(time),
        some(metrics.memory_bytes).map(bytes),
        some(metrics.spilled_bytes).map(|size| format!("{} on disk", bytes(size))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn some(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// `1,234,567`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `999 B`, `20.5 kB`, `3 MB`.
fn bytes(size: u64) -> String {
    let mut unit = 1;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        if size < unit * 1000 || name == "TB" {
            return tenths(size, unit, name);
        }
        unit *= 1000;
    }
    format!("{size} B")
}

/// `0.5 ms`, `85 ms`, `1.2 s`, `3 min 5 s`.
fn time(micros: u64) -> String {
    match micros {
        0..1_000_000 => tenths(micros, 1_000, "ms"),
        1_000_000..60_000_000 => tenths(micros, 1_000_000, "s"),
        long => format!("{} min {} s", long / 60_000_000, long / 1_000_000 % 60),
    }
}

/// So many units, with one digit behind the point unless that is 0.
fn tenths(number: u64, unit: u64, name: &str) -> String {
    let tenths = number / unit * 10 + number % unit * 10 / unit;
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        tenth => format!("{}.{tenth} {name}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0, 999, 20_480, 3_000_000, 5_000_000_000].map(bytes),
            ["0 B", "999 B", "20.4 kB", "3 MB", "5 GB"]
        );
        assert_eq!(bytes(u64::MAX), "18446744 TB");
        assert_eq!(
            [0, 450, 85_000, 1_250_000, 185_000_000].map(time),
            ["0 ms", "0.4 ms", "85 ms", "1.2 s", "3 min 5 s"]
        );
    }
}
