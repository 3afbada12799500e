UPDATE mailbox SET uid_next = uid_next + 1, modseq = modseq + 1
WHERE account = ?1 AND name = ?2
RETURNING id, uid_next - 1, modseq, domain
