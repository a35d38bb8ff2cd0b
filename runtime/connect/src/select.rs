//! [`FileSelection`]: which of the files below a path are read, and [`Exclusion`], a pattern of those that are not.
//!
//! | in a pattern | means |
//! |---|---|
//! | `*` | any characters but `/` |
//! | `**` | any characters |
//! | `?` | one character but `/` |
//! | `[a-c]`, `[!a-c]` | one of them, one that is none of them |
//! | `{csv,json}` | one of them |
//! | `\x` | `x` itself |
//!
//! The rules are Glue's: <https://docs.aws.amazon.com/glue/latest/dg/define-crawler.html#crawler-data-stores-exclude>. A
//! pattern is about the part of a path below the folder that was named, unless it begins with `/` or has a scheme, as
//! in `s3://`: then it is about the whole path.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::locate::{SourceFile, local_path};
use crate::remote::location::Location;

/// Which of the files below the paths that were named are read.
#[derive(Clone, Debug)]
pub struct FileSelection {
    /// Folders are read to the bottom; else only what lies right in them. Default: true.
    pub recurse: bool,
    /// Files that are not read. Default: none.
    pub exclusions: Vec<Exclusion>,
}

impl Default for FileSelection {
    fn default() -> Self {
        Self {
            recurse: true,
            exclusions: Vec::new(),
        }
    }
}

/// Bytes that a compiled pattern may take.
const MAX_PATTERN_BYTES: usize = 256 << 10;

/// A pattern of files that are not read. See the table in the source.
#[derive(Clone, Debug)]
pub struct Exclusion {
    regex: Regex,
    is_of_whole_path: bool,
}

impl FromStr for Exclusion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            |why: &str| Error::Unsupported(format!("the pattern {text:?} cannot be used: {why}"));
        let pattern = regex_of(text).map_err(wrong)?;
        let regex = RegexBuilder::new(&pattern)
            .size_limit(MAX_PATTERN_BYTES)
            .build();
        let regex = regex.map_err(|e| match e {
            regex::Error::CompiledTooBig(_) => wrong("it is too long"),
            _ => wrong("its brackets hold no characters"),
        })?;
        Ok(Self {
            regex,
            is_of_whole_path: text.starts_with('/') || text.contains("://"),
        })
    }
}

impl FileSelection {
    /// Leaves out what is not wanted.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is left.
    pub(crate) fn choose(
        &self,
        paths: &[PathBuf],
        files: Vec<SourceFile>,
    ) -> Result<Vec<SourceFile>> {
        if self.recurse && self.exclusions.is_empty() {
            return Ok(files);
        }
        let bases = paths.iter().map(|path| base(path));
        let bases = bases.collect::<Result<Vec<_>>>()?;
        let (found, first) = (files.len(), files.first().map(SourceFile::name));
        let wanted = |file: &SourceFile| {
            // Of an archive its own name counts as well as those of the files inside.
            self.lies_near_enough(&bases, &file.path)
                && !self.excludes(&bases, &file.path)
                && !self.excludes(&bases, &file.content_path())
        };
        let chosen: Vec<_> = files.into_iter().filter(wanted).collect();
        match (chosen.is_empty(), first) {
            (true, Some(first)) => Err(Error::NotFound(format!(
                "{first}: {found} files were found, this one first, and the exclusions leave none of them to read, or they \
                 lie in folders that are not looked into"
            ))),
            _ => Ok(chosen),
        }
    }

    fn lies_near_enough(&self, bases: &[PathBuf], file: &Path) -> bool {
        self.recurse || !below(bases, file).contains('/')
    }

    fn excludes(&self, bases: &[PathBuf], file: &Path) -> bool {
        let below = below(bases, file);
        self.exclusions.iter().any(|exclusion| {
            let text = match exclusion.is_of_whole_path {
                true => &whole(file),
                false => &below,
            };
            exclusion.regex.is_match(text)
        })
    }
}

/// The whole path of a file, also when it was named from the working folder on.
fn whole(file: &Path) -> Cow<'_, str> {
    let name = file.to_string_lossy();
    if name.contains("://") {
        return name;
    }
    let absolute = std::path::absolute(file);
    absolute.map_or(name, |path| path.to_string_lossy().into_owned().into())
}

/// The part of a file's path below the folder that was named. Who names a file, or a glob, names no folder: then it is
/// the file's name.
fn below<'a>(bases: &[PathBuf], file: &'a Path) -> Cow<'a, str> {
    let below = bases.iter().filter_map(|base| file.strip_prefix(base).ok());
    let below = below.min_by_key(|below| below.components().count());
    let below = below.filter(|below| !below.as_os_str().is_empty());
    let name = file.file_name().map(Path::new);
    below.or(name).unwrap_or(file).to_string_lossy()
}

/// A path that was named, as the files below it are named.
fn base(path: &Path) -> Result<PathBuf> {
    let path = match Location::parse(path)? {
        Some(_) => path.to_path_buf(),
        None => local_path(path)?,
    };
    Ok(path
        .strip_prefix(".")
        .map(Path::to_path_buf)
        .unwrap_or(path))
}

/// A regular expression that matches what the pattern does.
fn regex_of(pattern: &str) -> Result<String, &'static str> {
    let mut regex = String::from("(?s)^");
    let mut characters = pattern.chars().peekable();
    let mut is_in_group = false;
    while let Some(character) = characters.next() {
        match character {
            '*' if characters.next_if_eq(&'*').is_some() => regex.push_str(".*"),
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => class(&mut characters, &mut regex)?,
            '{' if is_in_group => return Err("it has a group inside of a group"),
            '{' => {
                is_in_group = true;
                regex.push_str("(?:");
            }
            ',' if is_in_group => regex.push('|'),
            '}' if is_in_group => {
                is_in_group = false;
                regex.push(')');
            }
            '\\' => match characters.next() {
                Some(next) => literal(next, &mut regex),
                None => return Err("it ends in a backslash"),
            },
            other => literal(other, &mut regex),
        }
    }
    if is_in_group {
        return Err("it has a { without a }");
    }
    regex.push('$');
    Ok(regex)
}

/// What stands behind `[`.
fn class(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    regex: &mut String,
) -> Result<(), &'static str> {
    regex.push('[');
    if characters
        .next_if(|next| matches!(next, '!' | '^'))
        .is_some()
    {
        regex.push('^');
    }
    for character in characters.by_ref() {
        match character {
            ']' => {
                regex.push(']');
                return Ok(());
            }
            '-' => regex.push('-'),
            other => literal(other, regex),
        }
    }
    Err("it has a [ without a ]")
}

fn literal(character: char, regex: &mut String) {
    regex.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(pattern: &str, named: &str, file: &str) -> bool {
        let selection = FileSelection {
            exclusions: vec![pattern.parse().unwrap()],
            ..FileSelection::default()
        };
        selection.excludes(&[PathBuf::from(named)], Path::new(file))
    }

    #[test]
    fn patterns_are_about_what_is_below_the_named_folder() {
        for (pattern, file, expected) in [
            ("*.csv", "in/a.csv", true),
            ("*.csv", "in/deep/a.csv", false),
            ("**.csv", "in/deep/a.csv", true),
            ("deep/**", "in/deep/er/a.csv", true),
            ("deep/*", "in/deep/er/a.csv", false),
            ("?.csv", "in/a.csv", true),
            ("?.csv", "in/ab.csv", false),
            ("[a-c].csv", "in/b.csv", true),
            ("[!a-c].csv", "in/b.csv", false),
            ("*.{csv,json}", "in/a.json", true),
            ("*.{csv,json}", "in/a.jsonl", false),
            ("a\\*.csv", "in/a*.csv", true),
            ("a\\*.csv", "in/ab.csv", false),
            ("/data/**", "in/a.csv", false),
            ("a+.csv", "in/a+.csv", true),
        ] {
            assert_eq!(excludes(pattern, "in", file), expected, "{pattern} {file}");
        }
        assert!(excludes("s3://b/in/*.csv", "s3://b/in", "s3://b/in/a.csv"));
        assert!(excludes("*.csv", "s3://b/in/", "s3://b/in/a.csv"));
        assert!(excludes("a.csv", "in/a.csv", "in/a.csv"));
    }

    #[test]
    fn patterns_of_whole_paths_are_about_relative_names_too() {
        let here = std::env::current_dir().unwrap();
        let here = here.display();
        assert!(excludes(&format!("{here}/in/*.csv"), "in", "in/a.csv"));
        assert!(!excludes(&format!("{here}/*.csv"), "in", "in/a.csv"));
        assert!(!excludes(
            &format!("{here}/s3://**"),
            "s3://b/in",
            "s3://b/in/a.csv"
        ));
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        let refused = |pattern: &str| pattern.parse::<Exclusion>().unwrap_err().to_string();
        insta::assert_snapshot!(refused("[a"), @r#"the pattern "[a" cannot be used: it has a [ without a ]"#);
        insta::assert_snapshot!(refused("{a"), @r#"the pattern "{a" cannot be used: it has a { without a }"#);
        insta::assert_snapshot!(refused("[z-a]"), @r#"the pattern "[z-a]" cannot be used: its brackets hold no characters"#);
    }
}
