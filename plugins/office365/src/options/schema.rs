//! The options as the host checks them: exactly the keys that [`super::Options`] reads.

use larder_sdk::{Schema, Takes};

/// The schema of the source's options.
pub(crate) fn schema() -> Schema {
    Schema::new()
        .required("tenant", Takes::Text, "the tenant's name, such as contoso.onmicrosoft.com")
        .optional(
            "cloud",
            Takes::word(&["worldwide", "gcc-high", "dod", "china"]),
            "Microsoft's cloud; worldwide if left out",
        )
        .optional(
            "admin_url",
            Takes::Text,
            "the SharePoint admin centre; derived from the tenant if left out",
        )
        .required(
            "accounts",
            Takes::List(Box::new(Takes::Table(account()))),
            "the pool: as many accounts as wanted",
        )
        .optional(
            "sharepoint",
            Takes::Table(sharepoint()),
            "what of SharePoint; without it and exchange, both are read",
        )
        .optional(
            "exchange",
            Takes::Table(exchange()),
            "what of Exchange; without it and sharepoint, both are read",
        )
        .optional(
            "endpoints",
            Takes::Table(endpoints()),
            "other hosts: private clouds, servers on premises, tests",
        )
}

fn account() -> Schema {
    Schema::new()
        .optional("user", Takes::Text, "the user principal name; oauth needs none")
        .optional("password", Takes::Secret, "the app password")
        .optional(
            "authentication",
            Takes::word(&["office365", "adfs", "basic", "ntlm", "oauth"]),
            "how it signs in; office365 if left out",
        )
        .optional(
            "services",
            Takes::List(Box::new(Takes::word(&["sharepoint", "exchange"]))),
            "what it is used for; both if left out",
        )
        .optional("label", Takes::Text, "what the app password is called in the portal")
        .optional("max_concurrency", Takes::Integer(1, 64), "requests at once, per service; 4 if left out")
        .optional(
            "grace_seconds",
            Takes::Integer(0, 604_800),
            "for how long a new credential may take to be accepted before it counts as wrong; 0 if left out",
        )
        .optional("client_id", Takes::Text, "oauth: the application's id")
        .optional("client_secret", Takes::Secret, "oauth: the application's secret")
        .optional("certificate", Takes::Secret, "oauth: the application's certificate and key, PEM")
}

fn sharepoint() -> Schema {
    Schema::new()
        .optional("sites", Takes::texts(), "globs on the server-relative URL; all if left out")
        .optional("exclude", Takes::texts(), "globs of sites to leave out")
        .optional(
            "versions",
            Takes::AnyOf(vec![Takes::word(&["all", "latest"]), Takes::Integer(1, 50_000)]),
            "versions of a file to keep, the current one counted; all if left out",
        )
        .optional(
            "permissions",
            Takes::Bool,
            "whether to read permissions, groups and roles; true if left out",
        )
        .optional("recycle_bin", Takes::Bool, "whether to list what the recycle bin holds; false if left out")
}

fn exchange() -> Schema {
    Schema::new()
        .optional("mailboxes", Takes::texts(), "addresses or globs")
        .optional("mailbox_list", Takes::Text, "a file of addresses, one a line")
        .optional(
            "access",
            Takes::word(&["impersonation", "delegate", "own"]),
            "by what right mailboxes are opened; impersonation if left out",
        )
        .optional("archive", Takes::Bool, "whether to read archive mailboxes; true if left out")
        .optional("public_folders", Takes::Bool, "whether to read public folders; true if left out")
        .optional(
            "settings",
            Takes::Bool,
            "whether to read inbox rules, the automatic reply, categories, delegates and folder permissions; true if left out",
        )
        .optional(
            "public_folders_as",
            Takes::Text,
            "the mailbox as which public folders are read; the first of the set if left out",
        )
        .optional(
            "fidelity",
            Takes::word(&["mime", "export", "both"]),
            "whether items are read as MIME, as the server's own streams (ExportItems), or both; mime if left out",
        )
        .optional("recoverable_items", Takes::Bool, "whether to read recoverable items; true if left out")
}

fn endpoints() -> Schema {
    Schema::new()
        .optional("login", Takes::Text, "the login host")
        .optional("sharepoint", Takes::Text, "the SharePoint host")
        .optional("my", Takes::Text, "the OneDrive host")
        .optional("admin", Takes::Text, "the SharePoint admin host")
        .optional("exchange", Takes::Text, "the address of Exchange Web Services")
        .optional("graph", Takes::Text, "the Graph host")
}
