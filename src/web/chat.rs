// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is written at this page and to it, by the rules of the meeting.

use std::time::Duration;

use roomseal_e2ee::data::DataSealer;
use roomseal_e2ee::{FrameKey, Fresh, KeyIndex, PREFIX_LEN, Verdict};
use roomseal_meeting::chat::{self, Heard, LONGEST_LINE, NotSent, Origin, Piece, Say};
use roomseal_meeting::{Rules, Sending};

use crate::answer::{Line, Todo};
use crate::wire;

/// Why a line stays here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotWritten {
    /// By the rules.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// Encryption went off while it was written.
    #[error(
        "encryption has just gone off, so the line was kept back: send it again if everybody may read it"
    )]
    NoLongerSealed,
}

/// The chat of one meeting.
#[derive(Debug)]
pub(crate) struct Chat {
    rules: chat::Chat,
    fresh: Fresh,
    /// The own identity in the room.
    me: String,
}

impl Chat {
    pub(crate) fn new(sealer: DataSealer, fresh: Fresh) -> Self {
        Self {
            rules: chat::Chat::new(sealer),
            fresh,
            me: String::new(),
        }
    }

    /// In the room from zero, by this identity.
    pub(crate) fn join(&mut self, me: &str) {
        self.restart();
        me.clone_into(&mut self.me);
    }

    /// What is kept of earlier lines is not for those who have another secret.
    pub(crate) fn forget(&mut self) {
        self.rules.forget();
    }

    /// In the room from zero, or out of it.
    pub(crate) fn restart(&mut self) {
        self.rules.restart();
    }

    pub(crate) fn iv_prefix(&self) -> [u8; PREFIX_LEN] {
        self.rules.iv_prefix()
    }

    pub(crate) fn send(&mut self, sending: Sending) {
        self.rules.send(sending);
    }

    pub(crate) fn send_key(&mut self, key: Option<(KeyIndex, FrameKey)>) {
        self.rules.send_key(key);
    }

    pub(crate) fn open(&mut self, identity: String, rules: Rules) {
        self.rules.open(identity, rules);
    }

    /// How a line leaves that is written now; `None`: not at all.
    pub(crate) fn writes(&self) -> Option<&'static str> {
        match self.rules.sending() {
            Sending::Clear => Some("clear"),
            Sending::Sealed => Some("sealed"),
            _ => None,
        }
    }

    pub(crate) fn hear(&mut self, from: Origin<'_>, piece: Piece) -> Option<Heard> {
        self.rules.hear(from, piece)
    }

    pub(crate) fn hear_sealed(
        &mut self,
        from: Origin<'_>,
        packet: (&[u8], u32, &[u8]),
    ) -> Option<Heard> {
        self.rules.hear_sealed(from, packet, wire::piece)
    }

    /// What the page has to do for a line to reach everybody; `sealed` is what it told the person who wrote it.
    pub(crate) fn write(
        &mut self,
        text: &str,
        sealed: bool,
        now: Duration,
    ) -> Result<[Todo; 2], NotWritten> {
        if text.len() > LONGEST_LINE {
            return Err(NotSent::TooLong.into());
        }
        let clear = self.rules.sending() == Sending::Clear;
        if clear && sealed {
            return Err(NotWritten::NoLongerSealed);
        }
        let id = self.fresh.draw::<16>().map(|byte| format!("{byte:02x}"));
        let id = id.concat();
        let mut packets = Vec::new();
        for content in wire::line(&id, text) {
            let sealed = self.rules.leave(&content.to_sealable())?;
            packets.push(content.packet(None, sealed));
        }
        let me = Origin {
            identity: &self.me,
            called: &self.me,
            now,
        };
        self.rules.wrote(me, &id, text);
        let line = Line {
            from: None,
            called: String::new(),
            text: text.to_owned(),
            how: how(!clear),
            told: None,
        };
        let unasked = false;
        let send = Todo::Send {
            packets,
            clear,
            unasked,
        };
        Ok([send, Todo::Line(line)])
    }

    /// What has to be asked now about earlier lines, of a member that may know them.
    pub(crate) fn due(&mut self, now: Duration) -> Option<Todo> {
        let fresh = &mut self.fresh;
        let ask = self.rules.due(now, || Some(fresh.draw()))?;
        self.say(&ask)
    }

    /// What the page has to do for this to reach the one that it is for; `None`: it may not leave.
    pub(crate) fn say(&mut self, say: &Say) -> Option<Todo> {
        let mut packets = Vec::new();
        for content in wire::stream(chat::HISTORY, &say.id, &say.chunks) {
            let sealed = self
                .rules
                .leave_as(&content.to_sealable(), say.sealed)
                .ok()?;
            packets.push(content.packet(Some(&say.to), sealed));
        }
        Some(Todo::Send {
            packets,
            clear: !say.sealed,
            unasked: true,
        })
    }
}

/// In one word, for programs.
pub(crate) fn how(sealed: bool) -> &'static str {
    match sealed {
        true => "sealed",
        false => "clear",
    }
}

/// Why something that somebody wrote is not shown, after their name.
pub(crate) fn not_shown(why: Verdict) -> &'static str {
    match why {
        Verdict::Clear => "wrote something that is not sealed: it is not shown",
        Verdict::NoKey => "wrote something, and has not proved yet to be a member: it is not shown",
        Verdict::Altered => "wrote something that was altered on the way: it is not shown",
        _ => "wrote something that does not open: it is not shown",
    }
}
