//! Which limits a plugin gets at a node of a job: the composition of everybody who has a say.
//!
//! ```text
//! default ── operator ──> the maximum        limits.toml [operator]: raises or lowers, up to hard ceilings
//!   tenant, plugin         cap it             limits.toml [tenant.N], [plugin."NAME"]
//!   manifest               caps it            the plugin about itself
//!   job, run               ask for less       `limits` of the job; --limit: asking for more is an error
//! ```
//!
//! No layer can give back what one before it took. Who caps does not know what others have, so a cap above the
//! value that is there means nothing; who asks wants an answer, so a request that cannot be met is refused
//! with the maximum and who set it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use tenon_host::{LIMITS, Limit, LimitError, LimitSettings, Limits};
use tenon_registry::{LimitValue, Reference, Resolved, Selector};

use crate::error::{Error, Result};

/// What lowers the operator's maximum for everything that an engine runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitCaps {
    /// For the engine's tenant.
    pub tenant: LimitSettings,
    /// For plugins, by reference: `find-matches`, `tenon:find-matches@1`.
    pub plugins: BTreeMap<String, LimitSettings>,
}

/// An operator's file of limits.
///
/// ```
/// let file: tenon_engine::LimitsFile = r#"
///     [operator]                          # the maximum for everybody
///     memory_bytes = "1 GiB"
///
///     [tenant.1]
///     call_time = "10 s"
///
///     [plugin."tenon:find-matches"]
///     memory_bytes = "512 MiB"
/// "#.parse()?;
/// let (maximum, caps) = file.of_tenant(1)?;
/// assert_eq!(maximum.memory_bytes, 1 << 30);
/// assert!(!caps.tenant.is_empty());
/// # Ok::<(), tenon_engine::Error>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    #[serde(default)]
    operator: LimitSettings,
    #[serde(default)]
    tenant: BTreeMap<String, LimitSettings>,
    #[serde(default)]
    plugin: BTreeMap<String, LimitSettings>,
}

impl std::str::FromStr for LimitsFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let file: Self = toml::from_str(text)
            .map_err(|e| Error::Definition(e.to_string().trim_end().to_owned()))?;
        file.checked()
    }
}

impl LimitsFile {
    /// Reads the file; a file that is not there sets nothing.
    ///
    /// # Errors
    /// It cannot be read, or says something that is no limit: names file, place and limit.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::Io(format!("cannot read {shown}: {e}"))),
            Ok(text) => text,
        };
        text.parse()
            .map_err(|e: Error| Error::Definition(format!("{shown}: {e}")))
    }

    /// The operator's maximum, and what lowers it for a tenant.
    ///
    /// # Errors
    /// The operator sets a limit beyond its hard ceiling.
    pub fn of_tenant(&self, tenant: u32) -> Result<(Limits, LimitCaps)> {
        let maximum = self.maximum()?;
        let caps = LimitCaps {
            tenant: self
                .tenant
                .get(&tenant.to_string())
                .cloned()
                .unwrap_or_default(),
            plugins: self.plugin.clone(),
        };
        Ok((maximum, caps))
    }

    fn maximum(&self) -> Result<Limits> {
        let set = Limits::default().set_by(&self.operator);
        set.map_err(|e| Error::Definition(format!("[operator]: {e}")))
    }

    /// What one file says must fit together: nobody in it gets more than its own maximum.
    fn checked(self) -> Result<Self> {
        let maximum = self.maximum()?;
        let tenants = self.tenant.iter().map(|(name, set)| ("tenant", name, set));
        let plugins = self.plugin.iter().map(|(name, set)| ("plugin", name, set));
        for (section, name, set) in tenants.chain(plugins) {
            let fits = maximum.lowered_by(set);
            fits.map_err(|e| Error::Definition(format!("[{section}.{name:?}]: {e}")))?;
        }
        if let Some(name) = self.tenant.keys().find(|name| name.parse::<u32>().is_err()) {
            return Err(Error::Definition(format!(
                "[tenant.{name:?}]: a tenant is a number"
            )));
        }
        for name in self.plugin.keys() {
            let reference = name.parse::<Reference>();
            reference.map_err(|e| Error::Definition(format!("[plugin.{name:?}]: {e}")))?;
        }
        Ok(self)
    }
}

/// Who has a say about a limit, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitLayer {
    /// Nobody said anything.
    Default,
    /// The operator.
    Operator,
    /// The operator, for the tenant.
    Tenant,
    /// The operator, for the plugin.
    Plugin,
    /// The plugin about itself.
    Manifest,
    /// The job.
    Job,
    /// Who started the run.
    Run,
}

impl LimitLayer {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Operator => "operator",
            Self::Tenant => "tenant",
            Self::Plugin => "plugin",
            Self::Manifest => "manifest",
            Self::Job => "job",
            Self::Run => "run",
        }
    }
}

impl fmt::Display for LimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "the default",
            Self::Operator => "set by the operator",
            Self::Tenant => "set by the operator for the tenant",
            Self::Plugin => "set by the operator for the plugin",
            Self::Manifest => "set by the plugin's manifest",
            Self::Job => "set by the job",
            Self::Run => "set for the run",
        })
    }
}

/// The limits of one plugin at one node, and where each comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLimits {
    /// What its instances are started with.
    pub limits: Limits,
    sources: BTreeMap<&'static str, LimitLayer>,
}

impl NodeLimits {
    fn starting_at(maximum: &Limits) -> Self {
        let default = Limits::default();
        let source = |limit: &Limit| match limit.of(maximum) == limit.of(&default) {
            true => LimitLayer::Default,
            false => LimitLayer::Operator,
        };
        Self {
            limits: maximum.clone(),
            sources: LIMITS
                .iter()
                .map(|limit| (limit.name, source(limit)))
                .collect(),
        }
    }

    /// Who set a limit to what it is.
    #[must_use]
    pub fn source(&self, limit: &Limit) -> LimitLayer {
        self.sources
            .get(limit.name)
            .copied()
            .unwrap_or(LimitLayer::Default)
    }

    fn cap(mut self, layer: LimitLayer, settings: &LimitSettings) -> Self {
        let capped = self.limits.capped_by(settings);
        for limit in LIMITS {
            if limit.of(&capped) < limit.of(&self.limits) {
                self.sources.insert(limit.name, layer);
            }
        }
        self.limits = capped;
        self
    }

    fn ask(self, layer: LimitLayer, settings: &LimitSettings) -> Result<Self> {
        match self.limits.lowered_by(settings) {
            Ok(_) => Ok(self.cap(layer, settings)),
            Err(error) => Err(self.refusal(layer, error)),
        }
    }

    fn refusal(&self, layer: LimitLayer, error: LimitError) -> Error {
        let LimitError::Above {
            limit,
            asked,
            maximum,
        } = error
        else {
            return Error::Definition(error.to_string());
        };
        let source = Limit::named(limit).map_or(LimitLayer::Default, |limit| self.source(limit));
        let message = format!(
            "limit {limit}: the {} asks for {asked}, the maximum is {maximum} ({source})",
            layer.name()
        );
        let hint = match source {
            LimitLayer::Manifest | LimitLayer::Job => format!("ask for at most {maximum}"),
            _ => format!(
                "ask for at most {maximum}; the operator sets maxima in limits.toml in the data folder"
            ),
        };
        Error::Refused {
            message,
            hint: Some(hint),
        }
    }
}

/// Who lowers the operator's maximum for one node, in this order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layers<'a> {
    pub(crate) caps: &'a LimitCaps,
    pub(crate) job: &'a LimitSettings,
    pub(crate) run: &'a LimitSettings,
}

/// The limits of a plugin at a node.
///
/// # Errors
/// [`Error::Refused`] when job or run ask for more than there is, [`Error::Definition`] for a manifest that says
/// something unreadable.
pub(crate) fn compose(
    maximum: &Limits,
    layers: Layers<'_>,
    plugin: &Resolved,
) -> Result<NodeLimits> {
    let mut composed =
        NodeLimits::starting_at(maximum).cap(LimitLayer::Tenant, &layers.caps.tenant);
    for (name, settings) in &layers.caps.plugins {
        if name.parse().is_ok_and(|name| is_about(&name, plugin)) {
            composed = composed.cap(LimitLayer::Plugin, settings);
        }
    }
    let manifest = of_manifest(&plugin.manifest.limits)?;
    composed
        .cap(LimitLayer::Manifest, &manifest)
        .ask(LimitLayer::Job, layers.job)?
        .ask(LimitLayer::Run, layers.run)
}

/// Whether an operator's word is about this plugin. A bare name means every version, prereleases included: a cap must not
/// be escaped by a version's name.
pub(crate) fn is_about(name: &Reference, plugin: &Resolved) -> bool {
    name.name == plugin.name
        && (name.selector == Selector::Newest
            || name.selector.accepts(&plugin.version, &plugin.digest))
}

/// What a plugin says about itself. Limits that this version does not know may be another version's.
fn of_manifest(said: &BTreeMap<String, LimitValue>) -> Result<LimitSettings> {
    let mut settings = LimitSettings::default();
    for (name, value) in said {
        match settings.set(name, &value.to_string()) {
            Err(LimitError::Unknown { .. }) => {
                tracing::warn!(
                    "a plugin's manifest sets a limit {name:?}, which is not known here"
                );
            }
            set => set.map_err(|e| Error::Definition(format!("the plugin's manifest: {e}")))?,
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use tenon_registry::{Digest, Manifest};

    use super::*;

    fn plugin(limits: &[(&str, &str)]) -> Resolved {
        let json = r#"{"name": "shout", "version": "1.2.0", "description": "", "license": "Apache-2.0",
            "contract": "0.1.0", "functions": [{"name": "shout", "kind": "map"}]}"#;
        let mut manifest = Manifest::from_json(json.as_bytes()).unwrap();
        let text = |value: &str| LimitValue::Text(value.to_owned());
        manifest.limits = limits
            .iter()
            .map(|(name, value)| ((*name).to_owned(), text(value)))
            .collect();
        Resolved {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: Digest::of(b"component"),
            size_bytes: 9,
            manifest,
        }
    }

    fn settings(pairs: &[(&str, &str)]) -> LimitSettings {
        let mut settings = LimitSettings::default();
        for (name, text) in pairs {
            settings.set(name, text).unwrap();
        }
        settings
    }

    fn composed(
        file: &str,
        plugin: &Resolved,
        job: &LimitSettings,
        run: &LimitSettings,
    ) -> Result<NodeLimits> {
        let (maximum, caps) = file.parse::<LimitsFile>()?.of_tenant(1)?;
        let layers = Layers {
            caps: &caps,
            job,
            run,
        };
        compose(&maximum, layers, plugin)
    }

    const FILE: &str = r#"
        [operator]
        memory_bytes = "1 GiB"
        call_time = 60
        [tenant.1]
        call_time = "20 s"
        [tenant.2]
        call_time = "1 ms"
        [plugin."tenon:shout"]
        memory_bytes = "512 MiB"
        [plugin."shout@2"]
        memory_bytes = "1 MiB"
        [plugin."other"]
        memory_bytes = "1 MiB"
    "#;

    #[test]
    fn every_layer_lowers_and_is_named() {
        let limits = composed(
            FILE,
            &plugin(&[("output_bytes", "8 MiB"), ("from_the_future", "1")]),
            &settings(&[("log_bytes", "1 KiB"), ("call_time", "10 s")]),
            &settings(&[("call_time", "5 s")]),
        )
        .unwrap();
        let shown: Vec<String> = LIMITS
            .iter()
            .map(|limit| {
                let value = limit.show(limit.of(&limits.limits));
                format!("{} {value} {}", limit.name, limits.source(limit).name())
            })
            .collect();
        assert_snapshot!(shown.join("\n"), @r"
        memory_bytes 512 MiB plugin
        table_elements 20000 default
        call_time 5 s run
        call_fuel 100000000000 default
        output_bytes 8 MiB manifest
        log_bytes 1 KiB job
        message_bytes 10 kB default
        columns 4096 default
        ");
    }

    #[test]
    fn a_request_for_more_names_limit_maximum_request_and_who_set_it() {
        let refused = |manifest: &[(&str, &str)], job: &[(&str, &str)], run: &[(&str, &str)]| {
            let error = composed(FILE, &plugin(manifest), &settings(job), &settings(run));
            let error = error.unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
            format!("{error}\n{}", error.hint().unwrap_or_default())
        };
        assert_snapshot!(refused(&[], &[], &[("memory_bytes", "2 GiB")]), @r"
        limit memory_bytes: the run asks for 2 GiB, the maximum is 512 MiB (set by the operator for the plugin)
        ask for at most 512 MiB; the operator sets maxima in limits.toml in the data folder
        ");
        assert_snapshot!(refused(&[], &[("call_time", "30 s")], &[]), @r"
        limit call_time: the job asks for 30 s, the maximum is 20 s (set by the operator for the tenant)
        ask for at most 20 s; the operator sets maxima in limits.toml in the data folder
        ");
        assert_snapshot!(refused(&[], &[("columns", "10")], &[("columns", "11")]), @r"
        limit columns: the run asks for 11, the maximum is 10 (set by the job)
        ask for at most 10
        ");
        assert_snapshot!(refused(&[("columns", "8")], &[("columns", "10")], &[]), @r"
        limit columns: the job asks for 10, the maximum is 8 (set by the plugin's manifest)
        ask for at most 8
        ");
        assert_snapshot!(refused(&[], &[], &[("log_bytes", "65 KiB")]), @r"
        limit log_bytes: the run asks for 65 KiB, the maximum is 64 KiB (the default)
        ask for at most 64 KiB; the operator sets maxima in limits.toml in the data folder
        ");
    }

    #[test]
    fn a_plugin_that_wishes_for_more_gets_what_there_is() {
        let limits = composed(
            "",
            &plugin(&[("memory_bytes", "3 GiB")]),
            &LimitSettings::default(),
            &LimitSettings::default(),
        );
        assert_eq!(limits.unwrap().limits, Limits::default());
        let unreadable = composed(
            "",
            &plugin(&[("memory_bytes", "much")]),
            &LimitSettings::default(),
            &LimitSettings::default(),
        );
        assert_snapshot!(unreadable.unwrap_err(), @r#"the plugin's manifest: limit memory_bytes: "much" is not a size such as "64 MiB", or a number of bytes"#);
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named() {
        let refused = |text: &str| text.parse::<LimitsFile>().unwrap_err().to_string();
        assert_snapshot!(refused("[operator]\ncall_time = '48 h'"), @"[operator]: limit call_time: asked for 48 h, the maximum is 24 h");
        assert_snapshot!(refused("[tenant.1]\nmemory_bytes = '3 GiB'"), @r#"[tenant."1"]: limit memory_bytes: asked for 3 GiB, the maximum is 2 GiB"#);
        assert_snapshot!(refused("[tenant.one]\n"), @r#"[tenant."one"]: a tenant is a number"#);
        assert_snapshot!(refused("[plugin.'No!']\n"), @r#"[plugin."No!"]: invalid plugin name "No!": use 1 to 64 of a-z, 0-9 and -"#);
        assert!(refused("[operator]\nmemory = 1").contains("there is no limit \"memory\""));
        assert!(refused("[operator]\nmemory_bytes = true").contains("a limit is a text such as"));
        assert!(refused("[operators]\n").contains("operators"));
    }

    /// Some settings: each limit perhaps, anywhere between nothing and beyond its ceiling.
    fn any_settings() -> impl Strategy<Value = LimitSettings> {
        let values = proptest::collection::vec(proptest::option::of(0_u64..=100), LIMITS.len());
        values.prop_map(|values| {
            let mut settings = LimitSettings::default();
            for (limit, value) in LIMITS.iter().zip(values) {
                let Some(percent) = value else { continue };
                // Below and above the default, which is far below the ceiling.
                let default = limit.of(&Limits::default());
                let value = default.saturating_mul(percent) / 50;
                settings.set(limit.name, &limit.show(value)).unwrap();
            }
            settings
        })
    }

    proptest! {
        #[test]
        fn the_composed_value_is_above_no_layer(
            operator in any_settings(),
            tenant in any_settings(),
            by_plugin in any_settings(),
            manifest in any_settings(),
            job in any_settings(),
            run in any_settings(),
        ) {
            let capped = |settings: &LimitSettings| {
                let mut capped = LimitSettings::default();
                for limit in LIMITS {
                    if let Some(value) = settings.get(limit) {
                        capped.set(limit.name, &limit.show(value.min(limit.ceiling))).unwrap();
                    }
                }
                capped
            };
            let maximum = Limits::default().set_by(&capped(&operator)).unwrap();
            let caps = LimitCaps {
                tenant: tenant.clone(),
                plugins: BTreeMap::from([("shout".to_owned(), by_plugin.clone())]),
            };
            let mut resolved = plugin(&[]);
            resolved.manifest.limits = LIMITS
                .iter()
                .filter_map(|limit| {
                    let text = limit.show(manifest.get(limit)?);
                    Some((limit.name.to_owned(), LimitValue::Text(text)))
                })
                .collect();
            let layers = Layers { caps: &caps, job: &job, run: &run };
            let composed = compose(&maximum, layers, &resolved);
            let least = |limit: &Limit, layers: &[&LimitSettings]| {
                let said = layers.iter().filter_map(|settings| settings.get(limit));
                said.fold(limit.of(&maximum), u64::min)
            };
            match composed {
                Ok(composed) => for limit in LIMITS {
                    let all = [&tenant, &by_plugin, &manifest, &job, &run];
                    prop_assert_eq!(limit.of(&composed.limits), least(limit, &all), "{:?}", limit);
                },
                Err(error) => {
                    // Refused exactly when somebody asked for more than was left.
                    let is_more = |limit: &&Limit| {
                        let before_job = least(limit, &[&tenant, &by_plugin, &manifest]);
                        let before_run = least(limit, &[&tenant, &by_plugin, &manifest, &job]);
                        job.get(limit).is_some_and(|asked| asked > before_job)
                            || run.get(limit).is_some_and(|asked| asked > before_run)
                    };
                    prop_assert!(LIMITS.iter().any(|limit| is_more(&limit)), "{}", error);
                }
            }
        }
    }
}
