-- Ids are 16 octets (UUIDv7), times microseconds since 1970 UTC, domains A-labels. Every row has its domain's id (tenancy).
-- Foreign keys are off: what refers to a message is asked in the transaction that removes the last reference.

-- A message with its envelope: immutable. `content`: see codec.rs. A place is kept beside it for what IMAP will
-- compute when a message arrives (ENVELOPE, BODYSTRUCTURE, preview): a table of its own, one row a message.
CREATE TABLE message (
    id BLOB NOT NULL UNIQUE,
    domain BLOB NOT NULL,
    accepted_us INTEGER NOT NULL,
    reverse_path TEXT NOT NULL,          -- empty for <>
    message_id TEXT NOT NULL,            -- the field, without brackets
    flags INTEGER NOT NULL,              -- see codec.rs
    size_bytes INTEGER NOT NULL,
    content BLOB NOT NULL
);

-- A recipient in the queue.
CREATE TABLE recipient (
    message BLOB NOT NULL,
    idx INTEGER NOT NULL,
    domain BLOB NOT NULL,
    shard INTEGER NOT NULL,
    holder BLOB,                         -- the incarnation that works on it
    next_attempt_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    warned INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL,
    original TEXT NOT NULL,
    account BLOB,
    PRIMARY KEY (message, idx)
) WITHOUT ROWID;
-- Held rows are not in it: a message delivered at its first attempt never touches it.
CREATE INDEX recipient_due ON recipient (next_attempt_us, shard) WHERE holder IS NULL;

CREATE TABLE dead_letter (
    message BLOB NOT NULL,
    idx INTEGER NOT NULL,
    domain BLOB NOT NULL,
    died_us INTEGER NOT NULL,
    address TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (message, idx)
) WITHOUT ROWID;
CREATE INDEX dead_letter_died ON dead_letter (died_us);

CREATE TABLE incarnation (
    id BLOB NOT NULL PRIMARY KEY,
    expires_us INTEGER NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- An account that has or had mail. `used_bytes` counts what is not expunged.
CREATE TABLE account (
    id BLOB NOT NULL PRIMARY KEY,
    domain BLOB NOT NULL,
    used_bytes INTEGER NOT NULL DEFAULT 0,
    gone_us INTEGER                      -- since when the directory does not have it
) WITHOUT ROWID;
CREATE INDEX account_gone ON account (gone_us) WHERE gone_us IS NOT NULL;

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain BLOB NOT NULL,
    account BLOB NOT NULL,
    name TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL DEFAULT 1,
    modseq INTEGER NOT NULL DEFAULT 1,
    UNIQUE (account, name)
);

-- Names of deleted mailboxes: UIDVALIDITY moves on (RFC 9051 §2.3.1.1).
CREATE TABLE mailbox_gone (
    account BLOB NOT NULL,
    name TEXT NOT NULL,
    domain BLOB NOT NULL,
    uid_validity INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;

-- A message in a mailbox, or its tombstone.
CREATE TABLE mail (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    flags INTEGER NOT NULL DEFAULT 0,
    keywords TEXT NOT NULL DEFAULT '',
    message BLOB NOT NULL,
    account BLOB NOT NULL,
    domain BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,         -- the copy's own fields included
    internal_date_us INTEGER NOT NULL,
    thread BLOB,                         -- given once an account; not yet
    copy_fields BLOB NOT NULL,
    expunged_us INTEGER,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE UNIQUE INDEX mail_once ON mail (message, account);
CREATE INDEX mail_expunged ON mail (expunged_us) WHERE expunged_us IS NOT NULL;

-- The POP3 maildrop lease of an account.
CREATE TABLE lease (
    account BLOB NOT NULL PRIMARY KEY,
    session BLOB NOT NULL,
    expires_us INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE directory_entry (
    key TEXT NOT NULL PRIMARY KEY,
    owner BLOB NOT NULL,
    account BLOB,
    digest BLOB NOT NULL,                -- SHA-256 of the entry's JSON, private key included
    entry TEXT NOT NULL,                 -- JSON, without the private key
    sealed BLOB                          -- the private key, see seal.rs
) WITHOUT ROWID;
CREATE INDEX directory_entry_account ON directory_entry (account) WHERE account IS NOT NULL;

CREATE TABLE directory_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL
);
INSERT INTO directory_state VALUES (1, 0, 0);

-- Steps of journeys: one row for all that one write says of one message. Appended; swept by time.
CREATE TABLE journey (
    id INTEGER PRIMARY KEY,
    message BLOB NOT NULL,
    message_id TEXT NOT NULL,
    last_us INTEGER NOT NULL,
    steps TEXT NOT NULL                  -- JSON
);
CREATE INDEX journey_message ON journey (message);
CREATE INDEX journey_last ON journey (last_us);

-- Finds journeys by the Message-ID field. By minute first: new rows touch few pages, a look-up skips from minute to minute.
CREATE TABLE journey_name (
    minute INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (minute, hash, message)
) WITHOUT ROWID;
