//! `LIKE`.

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wild {
    Many,
    One,
    Char(char),
}

/// Matches without going back further than to the last `%`: linear space, quadratic time at worst.
pub(super) fn is_like(text: &[char], pattern: &[Wild]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut retry = None;
    loop {
        match pattern.get(p) {
            Some(Wild::Many) => {
                retry = Some((p, t));
                p += 1;
                continue;
            }
            Some(Wild::One) if t < text.len() => {
                (t, p) = (t + 1, p + 1);
                continue;
            }
            Some(Wild::Char(wanted)) if text.get(t) == Some(wanted) => {
                (t, p) = (t + 1, p + 1);
                continue;
            }
            None if t == text.len() => return true,
            _ => {}
        }
        match retry {
            Some((star, from)) if from < text.len() => {
                retry = Some((star, from + 1));
                (t, p) = (from + 1, star + 1);
            }
            _ => return false,
        }
    }
}
