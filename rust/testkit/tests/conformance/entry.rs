//! What the suite must know of a source and of each of its tables.

#![allow(dead_code, reason = "words for entries, of which each source uses a part")]

use lakeflow_core::{Instant, Source};
use lakeflow_simulator::Simulator;
use serde_json::Value;

/// A source, how its simulator starts, and its tables.
#[derive(Clone, Copy)]
pub struct Entry {
    pub source: &'static Source,
    /// Name of the simulator's description.
    pub spec: &'static str,
    /// Connection options but for the address and the credentials, and options of all tables.
    pub options: &'static [(&'static str, &'static str)],
    /// Option that takes the simulator's address.
    pub address: &'static str,
    /// What follows the simulator's address there.
    pub below: &'static str,
    /// Options that hold credentials; each gets a text of its own that must show up nowhere.
    pub secrets: &'static [&'static str],
    /// Records by collection, where the default is more than a fast test needs.
    pub corpus: &'static [(&'static str, u64)],
    /// Whether the simulator's token endpoint knows the client `client-1` and the options
    /// `client_secret` and `refresh_token`; a rejected token is then renewed instead of reported.
    pub renews_tokens: bool,
    /// Whether another entry tests the other tables.
    pub partial: bool,
    pub tables: &'static [TableCase],
}

/// How many records a table must give.
#[derive(Clone, Copy)]
pub enum Count {
    /// Every record of the collection.
    All,
    /// Those whose field is an instant that is not in the future.
    Until(&'static str),
    /// Those that the function accepts.
    Where(fn(&Value) -> bool),
    /// What the function counts, for records that lie inside others.
    By(fn(&Simulator) -> usize),
}

/// How records of a table change in the simulator, stamped with the present time.
#[derive(Clone, Copy)]
pub enum Change {
    /// Records are edited; the text is the field of their key.
    Touch(&'static str),
    /// Records are never edited, new ones arrive.
    Grow,
    /// As the function does, which changes at least one record.
    By(fn(&Simulator, Instant)),
}

/// A table: where its records lie in the simulator and what may be expected of it.
#[derive(Clone, Copy)]
pub struct TableCase {
    pub name: &'static str,
    /// Collection in the simulator, with its scope where there is one.
    pub collection: &'static str,
    pub options: &'static [(&'static str, &'static str)],
    /// Records per page as asked for or fixed.
    pub page: u64,
    pub count: Count,
    pub change: Change,
    /// Deletes one record as a user would.
    pub delete: Option<fn(&Simulator, Instant)>,
    /// Which rows are those of deleted records, where the service goes on to list them.
    pub is_deleted: fn(&Value) -> bool,
    /// Requests that a drain without news may cost, beyond those of discovery.
    pub quiet_requests: u64,
    /// Whether unchanged rows come again with a change, because their parent changed.
    pub repeats: bool,
    /// For walks that always go where the service says: how an error begins to name the token,
    /// number or address that comes again. Other walks need not notice.
    pub follows: Option<&'static str>,
}

impl Entry {
    pub const fn new(source: &'static Source) -> Self {
        Self {
            source,
            spec: source.name,
            options: &[],
            address: "base_url",
            below: "",
            secrets: &[],
            corpus: &[],
            renews_tokens: false,
            partial: false,
            tables: &[],
        }
    }

    pub const fn options(mut self, options: &'static [(&'static str, &'static str)]) -> Self {
        self.options = options;
        self
    }

    pub const fn below(mut self, below: &'static str) -> Self {
        self.below = below;
        self
    }

    pub const fn secrets(mut self, secrets: &'static [&'static str]) -> Self {
        self.secrets = secrets;
        self
    }

    /// Tokens come from the simulator's token endpoint.
    pub const fn renews_tokens(mut self) -> Self {
        self.renews_tokens = true;
        self
    }

    pub const fn corpus(mut self, corpus: &'static [(&'static str, u64)]) -> Self {
        self.corpus = corpus;
        self
    }

    /// Only some tables, to test another login.
    pub const fn some_tables(mut self, tables: &'static [TableCase]) -> Self {
        self.partial = true;
        self.tables = tables;
        self
    }

    pub const fn tables(mut self, tables: &'static [TableCase]) -> Self {
        self.tables = tables;
        self
    }
}

impl TableCase {
    pub const fn new(name: &'static str, collection: &'static str) -> Self {
        Self {
            name,
            collection,
            options: &[],
            page: 100,
            count: Count::All,
            change: Change::Grow,
            delete: None,
            is_deleted: |_| false,
            quiet_requests: 6,
            repeats: false,
            follows: None,
        }
    }

    pub const fn options(mut self, options: &'static [(&'static str, &'static str)]) -> Self {
        self.options = options;
        self
    }

    pub const fn page(mut self, page: u64) -> Self {
        self.page = page;
        self
    }

    pub const fn count(mut self, count: Count) -> Self {
        self.count = count;
        self
    }

    pub const fn change(mut self, change: Change) -> Self {
        self.change = change;
        self
    }

    pub const fn delete(mut self, delete: fn(&Simulator, Instant)) -> Self {
        self.delete = Some(delete);
        self
    }

    pub const fn keeps_deleted(mut self, is_deleted: fn(&Value) -> bool) -> Self {
        self.is_deleted = is_deleted;
        self
    }

    pub const fn quiet_requests(mut self, requests: u64) -> Self {
        self.quiet_requests = requests;
        self
    }

    pub const fn repeats(mut self) -> Self {
        self.repeats = true;
        self
    }

    pub const fn follows(mut self, marker: &'static str) -> Self {
        self.follows = Some(marker);
        self
    }
}
