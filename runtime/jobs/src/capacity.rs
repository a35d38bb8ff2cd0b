//! [`Capacity`]: what a run may use, by the kind and number of workers that Glue's members name.
//! <https://docs.aws.amazon.com/glue/latest/dg/worker-types.html>
//!
//! A run is one process, so the workers of a run are added up: two `G.1X` are as much as one `G.2X`. Who runs it may give
//! less where the machine has less.

/// Memory, cores and disk of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Partitions that are worked on at once.
    pub cores: u32,
    /// What operators and plugins may hold.
    pub memory_bytes: u64,
    /// What may be kept on disk of what does not fit into memory.
    pub disk_bytes: u64,
    /// Glue's measure, by which AWS charges.
    pub dpus: f64,
}

/// A kind of worker: cores, GiB of memory, GB of disk, DPUs.
type Size = (u32, u64, u64, f64);

/// Sizes as Glue documents them.
const SIZES: &[(&str, Size)] = &[
    ("G.025X", (2, 4, 84, 0.25)),
    ("G.1X", (4, 16, 94, 1.0)),
    ("G.2X", (8, 32, 138, 2.0)),
    ("G.4X", (16, 64, 256, 4.0)),
    ("G.8X", (32, 128, 512, 8.0)),
    ("G.12X", (48, 192, 768, 12.0)),
    ("G.16X", (64, 256, 1024, 16.0)),
    ("R.1X", (4, 32, 94, 1.0)),
    ("R.2X", (8, 64, 128, 2.0)),
    ("R.4X", (16, 128, 256, 4.0)),
    ("R.8X", (32, 256, 512, 8.0)),
    ("Standard", (4, 16, 50, 1.0)),
    ("Z.2X", (8, 64, 128, 2.0)),
];

/// A kind that is not named, or not known, counts as this one.
const DEFAULT: Size = (4, 16, 94, 1.0);

impl Capacity {
    /// What so many workers of a kind are; one where no number is given.
    #[must_use]
    pub fn of(worker_type: Option<&str>, workers: Option<i32>) -> Self {
        let named = SIZES.iter().find(|(name, _)| Some(*name) == worker_type);
        let (cores, memory_gib, disk_gb, dpus) = named.map_or(DEFAULT, |(_, size)| *size);
        let workers = workers.and_then(|workers| u32::try_from(workers).ok());
        let workers = workers.unwrap_or(1).max(1);
        Self {
            cores: cores.saturating_mul(workers),
            memory_bytes: (memory_gib << 30).saturating_mul(u64::from(workers)),
            disk_bytes: (disk_gb * 1_000_000_000).saturating_mul(u64::from(workers)),
            dpus: dpus * f64::from(workers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_run_add_up() {
        let two = Capacity::of(Some("G.1X"), Some(2));
        assert_eq!((two.cores, two.memory_bytes, two.dpus), (8, 32 << 30, 2.0));
        assert_eq!(
            Capacity::of(None, None),
            Capacity::of(Some("G.1X"), Some(1))
        );
        assert_eq!(Capacity::of(Some("G.025X"), Some(-1)).dpus, 0.25);
        let most = Capacity::of(Some("G.16X"), Some(i32::MAX));
        assert!(most.memory_bytes > 1 << 60 && most.cores > 0);
    }
}
