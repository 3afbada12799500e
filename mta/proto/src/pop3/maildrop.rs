//! The maildrop of a session: a snapshot, and what is marked as deleted (RFC 1939 §5).
//! Nothing is deleted here: QUIT asks the owner to.

use super::Listed;

/// A snapshot with its marks.
#[derive(Debug)]
pub struct Maildrop {
    messages: Vec<Listed>,
    deleted: Vec<bool>,
}

impl Maildrop {
    /// Message number 1 first, nothing marked.
    pub fn new(messages: Vec<Listed>) -> Self {
        let deleted = vec![false; messages.len()];
        Self { messages, deleted }
    }

    /// The index and message of a number from 1, unless it is marked or there is none.
    pub fn get(&self, number: u64) -> Option<(usize, &Listed)> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.at(index)
    }

    /// The first message at this index or after it that is not marked.
    pub fn next_from(&self, index: usize) -> Option<(usize, &Listed)> {
        (index..self.messages.len()).find_map(|index| self.at(index))
    }

    fn at(&self, index: usize) -> Option<(usize, &Listed)> {
        let message = self.messages.get(index)?;
        (self.deleted.get(index) == Some(&false)).then_some((index, message))
    }

    /// Marks a message; `false` where there is none or it is marked already.
    pub fn delete(&mut self, number: u64) -> bool {
        let Some((index, _)) = self.get(number) else { return false };
        self.deleted.get_mut(index).is_some_and(|mark| {
            *mark = true;
            true
        })
    }

    /// Takes all marks away.
    pub fn reset(&mut self) {
        self.deleted.fill(false);
    }

    /// The indices that are marked.
    pub fn marked(&self) -> Vec<usize> {
        self.deleted.iter().enumerate().filter_map(|(index, mark)| mark.then_some(index)).collect()
    }

    /// Messages and octets that are not marked.
    pub fn totals(&self) -> (usize, u64) {
        let left = self.messages.iter().zip(&self.deleted).filter(|(_, mark)| !**mark);
        left.fold((0, 0), |(count, octets), (message, _)| (count + 1, octets.saturating_add(message.size_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildrop() -> Maildrop {
        Maildrop::new(
            [100, 200, 400]
                .into_iter()
                .map(|size_bytes| Listed { size_bytes, unique_id: format!("1.{size_bytes}") })
                .collect(),
        )
    }

    #[test]
    fn numbers_start_at_one() {
        let maildrop = maildrop();
        for (number, size) in [(0, None), (1, Some(100)), (3, Some(400)), (4, None), (u64::MAX, None)] {
            assert_eq!(maildrop.get(number).map(|(_, message)| message.size_bytes), size, "{number}");
        }
    }

    #[test]
    fn marks() {
        let mut maildrop = maildrop();
        assert_eq!(maildrop.totals(), (3, 700));
        assert!(maildrop.delete(2) && !maildrop.delete(2) && !maildrop.delete(0) && !maildrop.delete(4));
        assert_eq!((maildrop.totals(), maildrop.marked()), ((2, 500), vec![1]));
        assert!(maildrop.get(2).is_none());
        assert_eq!(maildrop.get(3).map(|(index, _)| index), Some(2), "numbers stay");
        assert_eq!(maildrop.next_from(1).map(|(index, _)| index), Some(2));
        maildrop.reset();
        assert_eq!((maildrop.totals(), maildrop.marked()), ((3, 700), vec![]));
    }
}
