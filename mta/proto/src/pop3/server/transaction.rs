//! The TRANSACTION state: the commands over a maildrop, and what QUIT's commit became (RFC 1939 §5, §6).

use super::{Asked, Column, ServerMachine, State, Wanted};
use crate::{
    Bulk, Framing,
    pop3::{Answer, Ask, Listed, Refusal, command::Command, maildrop::Maildrop},
};

impl ServerMachine {
    pub(super) fn opened(&mut self, messages: Vec<Listed>) {
        let maildrop = Maildrop::new(messages);
        let (count, octets) = maildrop.totals();
        self.state = State::Transaction(maildrop);
        self.ok(&format!("{count} messages ({octets} octets)"));
    }

    pub(super) fn transaction(&mut self, command: Command) {
        let State::Transaction(maildrop) = &mut self.state else { return };
        match command {
            Command::Stat => {
                let (count, octets) = maildrop.totals();
                self.ok(&format!("{count} {octets}"));
            }
            Command::List(None) => self.list(Column::Size),
            Command::Uidl(None) => self.list(Column::UniqueId),
            Command::List(Some(number)) => self.list_one(Column::Size, number),
            Command::Uidl(Some(number)) => self.list_one(Column::UniqueId, number),
            Command::Retr(number) => self.fetch(number, None),
            Command::Top(number, lines) => self.fetch(number, Some(lines)),
            Command::Dele(number) => {
                if maildrop.delete(number) {
                    self.ok("marked; QUIT deletes");
                } else {
                    self.no_such_message();
                }
            }
            Command::Noop => self.ok("here"),
            Command::Rset => {
                maildrop.reset();
                self.ok("nothing is marked");
            }
            _ => self.err("you are logged in already"),
        }
    }

    fn no_such_message(&mut self) {
        self.err("no such message");
    }

    fn list(&mut self, column: Column) {
        self.ok("one line a message");
        self.wanted = Some(Wanted::List(column, 0));
    }

    /// As much of a list as the output takes.
    pub(super) fn list_on(&mut self, column: Column, mut from: usize) {
        let State::Transaction(maildrop) = &self.state else { return };
        while let Some((index, message)) = maildrop.next_from(from) {
            if self.output.is_full() {
                self.wanted = Some(Wanted::List(column, from));
                return;
            }
            self.output.push(entry(column, index, message).as_bytes());
            from = index + 1;
        }
        self.output.push(b".\r\n");
    }

    fn list_one(&mut self, column: Column, number: u64) {
        let State::Transaction(maildrop) = &self.state else { return };
        match maildrop.get(number) {
            Some((index, message)) => {
                let line = format!("+OK {}", entry(column, index, message));
                self.output.push(line.as_bytes());
            }
            None => self.no_such_message(),
        }
    }

    fn fetch(&mut self, number: u64, body_lines_max: Option<u64>) {
        let State::Transaction(maildrop) = &self.state else { return };
        match maildrop.get(number) {
            Some((index, message)) => {
                let size_bytes = message.size_bytes;
                self.ask(Asked::Fetch { index, size_bytes, body_lines_max }, Ask::Fetch(index));
            }
            None => self.no_such_message(),
        }
    }

    pub(super) fn fetched(&mut self, index: usize, size_bytes: u64, body_lines_max: Option<u64>) {
        match body_lines_max {
            None => self.ok(&format!("{size_bytes} octets")),
            Some(_) => self.ok("its beginning"),
        }
        let handle = u64::try_from(index).unwrap_or(u64::MAX);
        self.output.push_bulk(Bulk { handle, range: 0..u64::MAX, framing: Framing::Dot { body_lines_max } });
    }

    pub(super) fn refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::InUse => self.err("[IN-USE] another session has this mailbox; try again when it has ended"),
            Refusal::Temporary => self.err("[SYS/TEMP] the store cannot do this now; try again later"),
            Refusal::Permanent => self.err("[SYS/PERM] the stored data is broken; tell your postmaster"),
        }
    }

    /// RFC 1939 §6: the client learns that nothing was deleted, and the session ends all the same.
    pub(super) fn committed(&mut self, any: bool, answer: &Answer) {
        match answer {
            _ if !any => self.ok("goodbye"),
            Answer::Done => self.ok("deleted; goodbye"),
            Answer::Refused(Refusal::InUse) => self.err("[IN-USE] the lock was lost; nothing was deleted"),
            Answer::Refused(Refusal::Permanent) => self.err("[SYS/PERM] nothing was deleted; tell your postmaster"),
            _ => self.err("[SYS/TEMP] nothing was deleted; try again later"),
        }
        self.close();
    }
}

fn entry(column: Column, index: usize, message: &Listed) -> String {
    match column {
        Column::Size => format!("{} {}\r\n", index + 1, message.size_bytes),
        Column::UniqueId => format!("{} {}\r\n", index + 1, message.unique_id),
    }
}
