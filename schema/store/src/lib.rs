//! What rests on disk: tables, migrations, queries by topic, the group-committing writer, sealed columns.
#![forbid(unsafe_code)]
