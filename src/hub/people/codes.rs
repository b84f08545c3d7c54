// SPDX-License-Identifier: MIT OR Apache-2.0
//! One-time codes: given out, and taken once.

use std::time::Duration;

use super::account::AccountId;
use super::code::Code;
use super::store::{KeptCode, Purpose, Work};
use super::{People, Refusal};

/// How often a code may be tried.
const TRIES: i64 = 5;

impl People {
    /// A new code, in the place of an earlier one for the same, and when it is too old (in seconds since 1970).
    pub(super) async fn give_code(
        &self,
        work: &mut Work,
        purpose: Purpose,
        account: Option<&AccountId>,
        good: Duration,
    ) -> Result<(Code, i64), Refusal> {
        let now = self.now();
        work.delete_codes(purpose, account, now).await?;
        // Two codes may begin alike; that one is taken shows when it is kept, so the next is drawn before.
        let mut code = Code::draw();
        while work.is_selector_taken(code.selector()).await? {
            code = Code::draw();
        }
        let expires = now.saturating_add(good.as_secs() as i64);
        let kept = KeptCode {
            selector: code.selector().to_owned(),
            hash: code.hash(),
            account: account.cloned(),
            expires,
            tries: TRIES,
        };
        work.insert_code(purpose, &kept).await?;
        Ok((code, expires))
    }

    /// Takes a code, once, and whose it is; what is wrong counts as a try.
    pub(super) async fn take_code(
        &self,
        mut work: Work,
        purpose: Purpose,
        typed: &str,
    ) -> Result<(Work, Option<AccountId>), Refusal> {
        let code = Code::read(typed).ok_or(Refusal::Code)?;
        let kept = work.code(purpose, code.selector()).await?;
        let kept = kept.filter(|kept| kept.tries > 0 && kept.expires > self.now());
        let kept = kept.ok_or(Refusal::Code)?;
        if !code.is(&kept.hash) {
            work.spend_try(&kept.selector).await?;
            work.commit().await?;
            return Err(Refusal::Code);
        }
        work.delete_code(&kept.selector).await?;
        Ok((work, kept.account))
    }
}
