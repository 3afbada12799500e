UPDATE mailbox SET modseq = ?2 WHERE id = ?1
