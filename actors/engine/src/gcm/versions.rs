//! The versions of one gateway's settings: which it is to have, which it has, which proved good.

/// How the versions stand. 0 stands for no document: the gateway's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the gateway is to have.
    pub wanted: i64,
    /// What it said that it has.
    pub in_force: i64,
    /// What proved good last.
    pub good: i64,
}

/// What a gateway said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It put this version in force, on trial.
    Applied(i64),
    /// It will not have this version (any more); that one holds.
    Rejected {
        /// Which.
        version: i64,
        /// What holds.
        in_force: i64,
    },
    /// This version passed its trial.
    Good(i64),
}

/// Where the versions stand after an answer. A rejected version is no longer wanted: what holds there is, so that a gateway
/// that starts again is not given the same bad document again.
#[must_use]
pub fn after(standing: Standing, answer: Answer) -> Standing {
    match answer {
        Answer::Applied(version) if version == standing.wanted => Standing { in_force: version, ..standing },
        Answer::Rejected { version, in_force } if version == standing.wanted => {
            // What the gateway holds may be a version that this core never made (its database was restored).
            let wanted = if in_force <= standing.wanted { in_force } else { standing.good };
            Standing { wanted, in_force: wanted, ..standing }
        }
        // What proved good was put in force before, whether or not that was heard.
        Answer::Good(version) if version == standing.wanted || version == standing.in_force => {
            Standing { in_force: version, good: version, ..standing }
        }
        // A late word on a version that another one has replaced.
        Answer::Applied(_) | Answer::Rejected { .. } | Answer::Good(_) => standing,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer::*, Standing, after};

    const fn at(wanted: i64, in_force: i64, good: i64) -> Standing {
        Standing { wanted, in_force, good }
    }

    #[test]
    fn an_answer_moves_the_versions_as_the_table_says() {
        let cases = [
            // before, answer, after
            (at(5, 4, 4), Applied(5), at(5, 5, 4)),
            (at(5, 5, 4), Good(5), at(5, 5, 5)),
            // The acknowledgement comes after the heartbeat, or was lost with a core.
            (at(5, 4, 4), Good(5), at(5, 5, 5)),
            (at(6, 5, 4), Good(5), at(6, 5, 5)),
            (at(5, 4, 4), Rejected { version: 5, in_force: 4 }, at(4, 4, 4)),
            // It had been applied, and fell back.
            (at(5, 5, 4), Rejected { version: 5, in_force: 4 }, at(4, 4, 4)),
            // The first document ever is rejected: the defaults hold.
            (at(1, 0, 0), Rejected { version: 1, in_force: 0 }, at(0, 0, 0)),
            // The gateway knows a version from before a restore.
            (at(5, 4, 4), Rejected { version: 5, in_force: 9 }, at(4, 4, 4)),
            // Late words.
            (at(6, 5, 5), Applied(4), at(6, 5, 5)),
            (at(6, 5, 5), Rejected { version: 5, in_force: 4 }, at(6, 5, 5)),
            (at(6, 5, 4), Good(4), at(6, 5, 4)),
        ];
        for (before, answer, expected) in cases {
            assert_eq!(after(before, answer), expected, "{before:?} {answer:?}");
        }
    }
}
