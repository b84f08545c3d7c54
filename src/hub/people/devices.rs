// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices: boxes that somebody enrolled, and that show by their key who they are.
//!
//! A code brings a device in, once: it signs, with the key that it keeps, the code and the name of the hub. Later it asks
//! for a challenge and signs that, which gives it a token for an hour. Challenges are not kept: the hub knows its own
//! again, so that nobody fills its memory by asking for them.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::account::{self, Account, AccountId, Role};
use super::audit::{Action, Deed, Named};
use super::code::{self, Code};
use super::proof::{DeviceKey, Kind};
use super::roll::Invitation;
use super::store::Purpose;
use super::{People, Refusal};

/// How long a pairing code is good: somebody walks from a desk to a room.
const GOOD: Duration = Duration::from_secs(10 * 60);

/// How long a challenge may be answered.
const ANSWERED: Duration = Duration::from_secs(60);

/// How long a token is good.
pub(crate) const TOKEN: Duration = Duration::from_secs(60 * 60);

/// A box that somebody enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Device {
    pub(crate) id: String,
    /// Who enrolled it.
    pub(crate) account: AccountId,
    pub(crate) name: String,
    /// Its public key: a compressed point of P-256 in base64url.
    pub(crate) key: String,
    /// Seconds since 1970.
    pub(crate) made: i64,
}

/// What a device that is to be enrolled says.
#[derive(Debug)]
pub(crate) struct Enrolment<'a> {
    pub(crate) code: &'a str,
    pub(crate) name: &'a str,
    pub(crate) key: &'a str,
    /// The JWS over code and hub.
    pub(crate) proof: &'a str,
}

/// What an enrolment's proof says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolmentProof {
    code: String,
    hub: String,
}

/// What an answer to a challenge says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeProof {
    challenge: String,
    hub: String,
}

/// Makes challenges, and knows them again, as long as the hub runs.
pub(super) struct Challenges(Zeroizing<[u8; 32]>);

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges(…)")
    }
}

impl Challenges {
    pub(super) fn new() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        code::draw(&mut *key);
        Self(key)
    }

    /// A challenge for a device, as text.
    fn make(&self, device: &str, expires: i64) -> String {
        let mut nonce = [0; 16];
        code::draw(&mut nonce);
        let expires = expires.to_be_bytes();
        let tag = self.tag(device, &nonce, &expires).finalize().into_bytes();
        let bytes: Vec<u8> = nonce.into_iter().chain(expires).chain(tag).collect();
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// Until when a challenge for a device may be answered; `None` when it is none of ours.
    fn expires(&self, device: &str, text: &str) -> Option<i64> {
        let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
        let (nonce, rest) = bytes.split_first_chunk::<16>()?;
        let (expires, tag) = rest.split_first_chunk::<8>()?;
        self.tag(device, nonce, expires).verify_slice(tag).ok()?;
        Some(i64::from_be_bytes(*expires))
    }

    fn tag(&self, device: &str, nonce: &[u8; 16], expires: &[u8; 8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        // Of fixed lengths but for the last.
        for part in [nonce.as_slice(), expires, device.as_bytes()] {
            mac.update(part);
        }
        mac
    }
}

impl People {
    /// A code with which somebody's device comes in, in the place of an earlier one.
    pub(crate) async fn pairing_code(&self, account: &Account) -> Result<Invitation, Refusal> {
        let mut work = self.store.begin().await?;
        let of = Some(&account.id);
        let given = self
            .give_code(&mut work, Purpose::Pairing, of, GOOD)
            .await?;
        work.commit().await?;
        let (code, expires) = given;
        let code = code.expose();
        Ok(Invitation { code, expires })
    }

    /// Enrols a device at the hub that it calls `hub`.
    ///
    /// # Errors
    /// When the code is not right, the device does not hold the key, or another one does.
    pub(crate) async fn enrol(
        &self,
        enrolment: Enrolment<'_>,
        hub: &str,
        address: IpAddr,
    ) -> Result<Device, Refusal> {
        let name = account::display_name(enrolment.name)?;
        let limited = self.limits().take_of(address, self.clock.now());
        limited.map_err(Refusal::TooMany)?;
        let key = DeviceKey::read(enrolment.key).ok_or(Refusal::Invalid(
            "key: send the compressed P-256 point, 33 bytes in base64url",
        ))?;
        let code = Code::read(enrolment.code).ok_or(Refusal::Code)?;
        let proof = key.open::<EnrolmentProof>(Kind::Enrolment, enrolment.proof);
        let proof = proof.ok_or(Refusal::Proof)?;
        let signed = Zeroizing::new(proof.code);
        if proof.hub != hub || !code.is_typed_as(&signed) {
            return Err(Refusal::Proof);
        }
        let work = self.store.begin().await?;
        let (mut work, owner) = self
            .take_code(work, Purpose::Pairing, enrolment.code)
            .await?;
        self.limits().right_of(address);
        let owner = match owner {
            Some(owner) => work.account(&owner).await?,
            None => None,
        };
        let owner = owner.ok_or(Refusal::Code)?;
        if owner.disabled {
            return Err(Refusal::Disabled);
        }
        let key = key.text();
        if work.device_of_key(&key).await?.is_some() {
            return Err(Refusal::KeyTaken);
        }
        let device = Device {
            id: code::draw_token(),
            account: owner.id.clone(),
            name,
            key,
            made: self.now(),
        };
        work.insert_device(&device).await?;
        let id = AccountId::kept(device.id.clone());
        let deed = Deed {
            subject: Some(Named {
                id: &id,
                name: &device.name,
            }),
            ..self.own_deed(&owner, Action::DeviceEnrolled, address)
        };
        work.record(&deed).await?;
        work.commit().await?;
        Ok(device)
    }

    /// The devices of an account; for admins, all.
    pub(crate) async fn devices(&self, account: &Account) -> Result<Vec<Device>, Refusal> {
        let of = (account.role != Role::Admin).then_some(&account.id);
        Ok(self.store.begin().await?.devices(of).await?)
    }

    /// Takes a device out; its tokens are good for nothing any more.
    ///
    /// # Errors
    /// When there is no such device, or it is another's.
    pub(crate) async fn revoke(
        &self,
        account: &Account,
        id: &str,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let mut work = self.store.begin().await?;
        let device = work.device(id).await?;
        let device = device
            .filter(|device| account.role == Role::Admin || device.account == account.id)
            .ok_or(Refusal::NoSuch("device"))?;
        work.delete_device(id).await?;
        let id = AccountId::kept(device.id.clone());
        let deed = Deed {
            subject: Some(Named {
                id: &id,
                name: &device.name,
            }),
            ..self.own_deed(account, Action::DeviceRevoked, address)
        };
        work.record(&deed).await?;
        Ok(work.commit().await?)
    }

    /// A challenge for a device, whether there is one of that id or not, and until when it may be answered.
    pub(crate) fn challenge(&self, device: &str) -> (String, i64) {
        let expires = self.now().saturating_add(ANSWERED.as_secs() as i64);
        (self.challenges.make(device, expires), expires)
    }

    /// A token for a device that answers a challenge, once, at the hub that it calls `hub`.
    ///
    /// # Errors
    /// When the answer is not right, or not any more.
    pub(crate) async fn device_token(
        &self,
        id: &str,
        answer: &str,
        hub: &str,
        address: IpAddr,
    ) -> Result<Zeroizing<String>, Refusal> {
        let limited = self.limits().take_of(address, self.clock.now());
        limited.map_err(Refusal::TooMany)?;
        let mut work = self.store.begin().await?;
        let device = work.device(id).await?.ok_or(Refusal::Proof)?;
        let key = DeviceKey::read(&device.key).ok_or(Refusal::Proof)?;
        let proof = key.open::<ChallengeProof>(Kind::Challenge, answer);
        let proof = proof.filter(|proof| proof.hub == hub);
        let proof = proof.ok_or(Refusal::Proof)?;
        let now = self.now();
        let expires = self.challenges.expires(id, &proof.challenge);
        let expires = expires.filter(|expires| *expires > now);
        let expires = expires.ok_or(Refusal::Proof)?;
        let answered = code::hash(&proof.challenge);
        if !work.answer_once(&answered, now, expires).await? {
            return Err(Refusal::Proof);
        }
        self.limits().right_of(address);
        let token = Zeroizing::new(code::draw_token());
        let hash = code::hash(&token);
        let until = now.saturating_add(TOKEN.as_secs() as i64);
        work.insert_device_token(&hash, id, now, until).await?;
        work.commit().await?;
        Ok(token)
    }

    /// Which device came with this token, and who enrolled it.
    ///
    /// # Errors
    /// When the token is none, or no longer, or who enrolled the device is disabled.
    pub(crate) async fn device_of(&self, token: &str) -> Result<(Device, Account), Refusal> {
        let mut work = self.store.begin().await?;
        let device = work.device_of_token(&code::hash(token), self.now()).await?;
        let device = device.ok_or(Refusal::Token)?;
        let owner = work.account(&device.account).await?;
        let owner = owner.filter(|owner| !owner.disabled);
        Ok((device, owner.ok_or(Refusal::Token)?))
    }
}
