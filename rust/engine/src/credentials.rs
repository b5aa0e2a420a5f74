//! From the options of a read to those that a connector is built from: named connections and
//! references to secrets are replaced by what they stand for.
//!
//! A door does this once, where a read is planned. What a reference or a connection stands for goes
//! to the source's own host, the connection's, or a listed one; the process's environment decides,
//! never the options of a read.

use crate::connections::Connection;
use crate::engine::Engine;
use crate::options::{CONNECTION, FRAMEWORK_OPTIONS};
use crate::references::{self, HOSTS, is_listed_host, is_reference, is_same_origin};
use lakeflow_core::{Error, OptionKind, OptionRole, OptionSpec, Options, Reach, Result, Source};

/// Looks a variable of the process up.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Names of the options that stand in a configuration, where others can see them.
#[derive(Clone, Copy, Debug)]
pub enum Configured<'a> {
    /// That of a session, which may be meant for other sources: what a source does not declare is
    /// left out.
    Session(&'a [String]),
    /// That of a catalog.
    Catalog(&'a [String]),
}

impl Configured<'_> {
    fn contains(&self, name: &str) -> bool {
        let (Self::Session(names) | Self::Catalog(names)) = self;
        names.iter().any(|configured| configured == name)
    }
}

impl Engine {
    /// The options to read with, without references and names of connections.
    ///
    /// Secrets among the `configured` ones must be references.
    ///
    /// # Errors
    /// [`ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) for an unknown connection, an
    /// option that cannot be given beside it, and a reference that is malformed, leads nowhere, or
    /// would be sent to a host that is not listed; never with what a secret is.
    pub fn resolve(
        &self,
        options: &Options,
        configured: Configured<'_>,
        variables: Variables<'_>,
    ) -> Result<Options> {
        let connection = self.connection(options, variables)?;
        let mut named = options.clone();
        if let Some(connection) = &connection {
            connection.name_source(&mut named)?;
        }
        let read = Read { source: self.source(&named)?, variables };
        named.retain(|name| !is_connection(name));
        read.check_configured(&mut named, configured)?;
        let mut resolved = match connection {
            Some(connection) => read.beside(connection, &named)?,
            None => {
                read.check_hosts(&named)?;
                named
            }
        };
        read.follow_references(&mut resolved)?;

        Ok(resolved)
    }

    /// The connection that `options` name. One that is unknown here is passed over if a platform
    /// has put its options into the read.
    fn connection(
        &self,
        options: &Options,
        variables: Variables<'_>,
    ) -> Result<Option<Connection>> {
        let given = options.iter().filter(|(name, _)| is_connection(name));
        let mut names = given.filter(|(_, value)| !value.trim().is_empty());
        let Some((option, name)) = names.next() else { return Ok(None) };
        if names.any(|(_, other)| other.trim() != name.trim()) {
            return Err(Error::config(
                "option 'connection' is given twice, under two names with different values",
            ));
        }
        let found = Connection::find(name.trim(), variables)?;
        let injected = || {
            let source = self.source(options).ok();
            !option.eq_ignore_ascii_case(CONNECTION)
                && source.is_some_and(|s| given_secrets(s, options).next().is_some())
        };
        if found.is_none() && !injected() {
            return Err(Connection::unknown(name.trim()));
        }

        Ok(found)
    }
}

impl Connection {
    /// Takes the source of the connection, which a read may repeat.
    fn name_source(&self, options: &mut Options) -> Result<()> {
        let Some(source) = self.options.get("sourceName") else { return Ok(()) };
        let other = options.get("sourceName").filter(|given| !given.trim().is_empty());
        if other.is_some_and(|other| !other.trim().eq_ignore_ascii_case(source.trim())) {
            return Err(Error::config(format!(
                "connection '{}' is one of source '{}': leave option 'sourceName' out, or name \
                 another connection",
                self.name,
                source.trim()
            )));
        }
        options.set("sourceName", source);

        Ok(())
    }
}

/// A read of a source while its options are resolved.
struct Read<'a> {
    source: &'static Source,
    variables: Variables<'a>,
}

impl Read<'_> {
    /// The declaration of an option of this read, if it has one.
    fn declared(&self, name: &str) -> Option<&'static OptionSpec> {
        self.source.options().chain(FRAMEWORK_OPTIONS).find(|spec| spec.is_called(name))
    }

    /// Refuses secrets that a configuration shows, and drops what it says for other sources.
    fn check_configured(&self, options: &mut Options, configured: Configured<'_>) -> Result<()> {
        let place = match configured {
            Configured::Session(_) => {
                options.retain(|name| !configured.contains(name) || self.declared(name).is_some());
                "session"
            }
            Configured::Catalog(_) => "catalog",
        };
        for (spec, name, value) in given_secrets(self.source, options) {
            if configured.contains(name) && !is_reference(value) {
                return Err(Error::config(format!(
                    "option '{}' stands in the configuration of the {place}, which others can \
                     read: give it as a reference, env:LAKEFLOW_NAME or file:/path, or with the \
                     read",
                    spec.name
                )));
            }
        }

        Ok(())
    }

    /// The options of `connection` with those of the read in their place.
    fn beside(&self, connection: Connection, given: &Options) -> Result<Options> {
        let name = &connection.name;
        let mut all = connection.options;
        for (option, value) in given.iter() {
            if let Some(spec) = self.declared(option) {
                let blank = value.trim().is_empty() && spec.role != OptionRole::Secret;
                if blank {
                    continue;
                }
                if spec.reach != Reach::Nothing {
                    return Err(Error::config(format!(
                        "option '{}' cannot be given beside connection '{name}', as it decides \
                         whom its credentials reach: set it in the connection",
                        spec.name
                    )));
                }
                if self.belongs_to_connection(spec)
                    && !connection.allowed.iter().any(|allowed| spec.is_called(allowed))
                {
                    return Err(Error::config(format!(
                        "option '{}' cannot be given beside connection '{name}': leave it out, or \
                         list it in the connection's externalOptionsAllowList",
                        spec.name
                    )));
                }
                all.retain(|other| !spec.is_called(other));
            }
            all.set(option, value);
        }
        all.retain(|option| !is_connection(option));

        Ok(all)
    }

    fn belongs_to_connection(&self, spec: &OptionSpec) -> bool {
        let mut own = self.source.connection_options.iter().chain(self.source.kit_options);
        own.any(|own| own.name == spec.name)
    }

    /// Refuses references beside options that lead them to another host than the source's own.
    fn check_hosts(&self, options: &Options) -> Result<()> {
        let mut references =
            given_secrets(self.source, options).filter(|(_, _, value)| is_reference(value));
        let Some((secret, ..)) = references.next() else { return Ok(()) };
        let refuse = |spec: &OptionSpec| {
            Err(Error::config(format!(
                "option '{}' is a reference, and option '{}' lets another host than the source's \
                 own have it: list that host in {HOSTS} where the driver runs, or use a named \
                 connection",
                secret.name, spec.name
            )))
        };
        let given: Vec<_> = options
            .iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .filter_map(|(name, value)| {
                Some((self.source.options().find(|s| s.is_called(name))?, value))
            })
            .collect();
        let changed = |spec: &OptionSpec, value: &str| {
            spec.default.is_none_or(|default| !default.eq_ignore_ascii_case(value.trim()))
        };
        let trust = given.iter().find(|(s, value)| s.reach == Reach::Trust && changed(s, value));
        let mut listed = false;
        for (spec, value) in &given {
            if spec.reach != Reach::Destination
                || spec.kind != OptionKind::Url
                || (spec.role == OptionRole::Secret && is_reference(value))
            {
                continue;
            }
            let own = spec.default.is_some_and(|own| is_same_origin(own, value));
            if is_listed_host(value, self.variables) {
                listed |= spec.role != OptionRole::Secret;
            } else if !own {
                return refuse(spec);
            }
        }

        match trust {
            Some((spec, _)) if !listed => refuse(spec),
            _ => Ok(()),
        }
    }

    fn follow_references(&self, options: &mut Options) -> Result<()> {
        let references: Vec<_> = given_secrets(self.source, options)
            .filter(|(_, _, value)| is_reference(value))
            .map(|(_, name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, reference) in references {
            let secret = references::read(&name, &reference, self.variables)?;
            options.set(name, secret);
        }

        Ok(())
    }
}

fn is_connection(name: &str) -> bool {
    FRAMEWORK_OPTIONS.iter().any(|spec| spec.name == CONNECTION && spec.is_called(name))
}

/// The secret options that are given: declaration, name as given, value.
fn given_secrets<'a>(
    source: &'static Source,
    options: &'a Options,
) -> impl Iterator<Item = (&'static OptionSpec, &'a str, &'a str)> {
    options.iter().filter_map(|(name, value)| {
        let spec = source.options().find(|spec| spec.is_called(name))?;
        (spec.role == OptionRole::Secret).then_some((spec, name, value))
    })
}
