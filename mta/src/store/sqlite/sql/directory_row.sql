SELECT key, owner, account, digest, entry, sealed FROM directory_entry WHERE key = ?1
