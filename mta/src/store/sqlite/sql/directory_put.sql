INSERT INTO directory_entry (key, owner, account, digest, entry, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, account = excluded.account, digest = excluded.digest,
    entry = excluded.entry, sealed = excluded.sealed
