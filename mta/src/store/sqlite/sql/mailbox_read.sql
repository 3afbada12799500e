SELECT id, uid_validity, uid_next, modseq FROM mailbox WHERE account = ?1 AND name = ?2
