-- Whether a complete set was ever there. Until now only local mode wrote the directory, always whole.
ALTER TABLE directory_state ADD COLUMN complete INTEGER NOT NULL DEFAULT 0;
UPDATE directory_state SET complete = revision > 0;

-- An entry has a digest of its inputs now; all zero: to be written again. `digest` covers it as it lies in its row
-- (see entry.rs), which is not what it covered before.
UPDATE directory_entry SET entry = json_insert(entry, '$.digest', printf('%064d', 0)) WHERE json_valid(entry);
