SELECT domain, accepted_us, reverse_path, message_id, flags, size_bytes, content FROM message WHERE id = ?1
