// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold for chains however hosts press and however the service delays, repeats and mixes what they say.

use std::collections::BTreeSet;

use proptest::prelude::*;
use roomseal_policy::{Chain, E2ee, HostCheck, KeyModel, Merged, PolicyHash, Refusal, Relation};

use crate::people::{decide, host, meeting, room};

/// One step of a meeting in which the service decides who hears what and when.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A host presses.
    Press {
        host: usize,
        e2ee: E2ee,
        key: KeyModel,
    },
    /// Somebody hears what another knows, or what was said at an earlier time.
    Hear { member: usize, said: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let e2ee = prop_oneof![Just(E2ee::On), Just(E2ee::Off)];
    let key = prop_oneof![4 => Just(KeyModel::User), 1 => Just(KeyModel::Server)];
    let step = prop_oneof![
        (0..3_usize, e2ee, key).prop_map(|(host, e2ee, key)| Step::Press { host, e2ee, key }),
        (0..3_usize, any::<usize>()).prop_map(|(member, said)| Step::Hear { member, said }),
    ];
    prop::collection::vec(step, 1..14)
}

/// What is known, and which of it is in force, by the rule as it stands in the protocol and nothing of the crate's own.
#[derive(Clone, Debug, PartialEq)]
struct Model(Vec<Known>);

#[derive(Clone, Debug, PartialEq)]
struct Known {
    hash: PolicyHash,
    prev: Vec<PolicyHash>,
    e2ee: E2ee,
    key: KeyModel,
    epoch: u64,
}

impl Model {
    fn of(chain: &Chain) -> Self {
        let known = |policy: &roomseal_policy::Policy| Known {
            hash: policy.hash(),
            prev: policy.prev().to_vec(),
            e2ee: policy.e2ee(),
            key: policy.key_model(),
            epoch: policy.epoch().value(),
        };
        Self(chain.policies().into_iter().map(known).collect())
    }

    fn hashes(&self) -> BTreeSet<PolicyHash> {
        self.0.iter().map(|known| known.hash).collect()
    }

    fn prev(&self, hash: PolicyHash) -> Vec<PolicyHash> {
        self.0
            .iter()
            .find(|known| known.hash == hash)
            .unwrap()
            .prev
            .clone()
    }

    fn continues(&self, later: PolicyHash, earlier: PolicyHash) -> bool {
        self.prev(later)
            .iter()
            .any(|prev| *prev == earlier || self.continues(*prev, earlier))
    }

    fn head(&self) -> &Known {
        let named: Vec<_> = self.0.iter().flat_map(|known| &known.prev).collect();
        let mut leaves: Vec<_> = self
            .0
            .iter()
            .filter(|known| !named.contains(&&known.hash))
            .collect();
        leaves.sort_by(|a, b| {
            let on = |known: &Known| known.e2ee == E2ee::On;
            let user = |known: &Known| known.key == KeyModel::User;
            on(b)
                .cmp(&on(a))
                .then(user(b).cmp(&user(a)))
                .then(b.epoch.cmp(&a.epoch))
                .then(a.hash.cmp(&b.hash))
        });
        leaves[0]
    }
}

fn join(one: &Chain, other: &Chain) -> Chain {
    let mut joined = one.clone();
    joined.merge(&other.message()).unwrap();
    joined
}

/// Plays the steps; every change of what a member holds is looked at.
fn play(steps: &[Step], mut look: impl FnMut(&Chain, &Chain, Option<&Merged>)) -> Vec<Chain> {
    let root = Chain::start(&host(0), &decide(E2ee::Off, 1));
    let hosts = [host(0), host(1), host(2)];
    let mut members = vec![root.clone(), root.clone(), root.clone()];
    // Everything ever said, which the service repeats as it likes.
    let mut said = vec![root.message()];
    for (nonce, step) in (2..).zip(steps) {
        match *step {
            Step::Press { host, e2ee, key } => {
                let before = members[host].clone();
                let decision = roomseal_policy::Decision {
                    key,
                    ..decide(e2ee, nonce)
                };
                said.push(members[host].press(&hosts[host], &decision).unwrap());
                said.push(members[host].message());
                look(&before, &members[host], None);
            }
            Step::Hear {
                member,
                said: which,
            } => {
                let before = members[member].clone();
                let heard = members[member].merge(&said[which % said.len()]);
                match heard {
                    Ok(heard) => look(&before, &members[member], Some(&heard)),
                    Err(refusal) => {
                        assert_eq!(refusal, Refusal::Gap);
                        assert_eq!(before, members[member]);
                    }
                }
            }
        }
    }
    members
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_head_is_the_one_that_the_rule_names(steps in steps()) {
        play(&steps, |_, after, _| {
            let model = Model::of(after);
            assert_eq!(after.head().hash(), model.head().hash);
            assert_eq!(after.leaves()[0].hash(), model.head().hash);
        });
    }

    #[test]
    fn nothing_known_is_forgotten_and_no_head_comes_back(steps in steps()) {
        play(&steps, |before, after, _| {
            assert!(Model::of(before).hashes().is_subset(&Model::of(after).hashes()));
            assert!(!after.continues(&before.head().hash(), &after.head().hash()));
            let relation = before.relation(after);
            assert!(matches!(relation, Relation::Same | Relation::Ahead), "{relation:?}");
        });
    }

    #[test]
    fn on_ends_only_by_an_off_whose_host_had_seen_it(steps in steps()) {
        play(&steps, |before, after, _| {
            if after.head().e2ee() == E2ee::On {
                return;
            }
            let model = Model::of(after);
            for known in before.policies().iter().filter(|policy| policy.e2ee() == E2ee::On) {
                let ended = model.0.iter().any(|later| later.e2ee == E2ee::Off && model.continues(later.hash, known.hash()));
                assert!(ended, "{known:?} was ended by nobody");
            }
        });
    }

    #[test]
    fn what_a_message_did_is_told_as_it_is(steps in steps()) {
        play(&steps, |before, after, heard| {
            let Some(heard) = heard else { return };
            let (was, is) = (before.head().hash(), after.head().hash());
            let expected = match heard {
                Merged::Same | Merged::Behind => before == after,
                Merged::Extended => Model::of(after).continues(is, was),
                Merged::ForkWon => is != was && !Model::of(after).continues(is, was),
                Merged::ForkLost => is == was && before != after,
                other => panic!("{other:?}"),
            };
            assert!(expected, "{heard:?}");
        });
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent(steps in steps()) {
        let members = play(&steps, |_, _, _| {});
        let [a, b, c] = &members[..] else { unreachable!() };
        prop_assert_eq!(join(a, b), join(b, a));
        prop_assert_eq!(join(&join(a, b), c), join(a, &join(b, c)));
        prop_assert_eq!(&join(a, a), a);
        let all = join(&join(a, b), c);
        prop_assert_eq!(&join(&all, b), &all);
        // Who begins with the whole has the same as who heard it bit by bit, in however many parts.
        let check = HostCheck::Link(meeting().hash());
        prop_assert_eq!(&Chain::begin(&all.message(), &room(), &check).unwrap(), &all);
        let parts = all.messages(1800);
        prop_assert!(parts.len() > 1 || all.policies().len() < 4);
        prop_assert!(parts.iter().all(|part| part.len() <= 1800));
        let mut heard = Chain::begin(&parts[0], &room(), &check).unwrap();
        for part in &parts {
            heard.merge(part).unwrap();
        }
        prop_assert_eq!(heard, all);
    }

    #[test]
    fn relations_say_who_knows_more(steps in steps()) {
        let members = play(&steps, |_, _, _| {});
        for (one, other) in [(0, 1), (1, 2), (2, 0)] {
            let (one, other) = (&members[one], &members[other]);
            let (mine, theirs) = (Model::of(one).hashes(), Model::of(other).hashes());
            let expected = match (mine.is_subset(&theirs), theirs.is_subset(&mine)) {
                (true, true) => Relation::Same,
                (true, false) => Relation::Ahead,
                (false, true) => Relation::Behind,
                (false, false) => Relation::Forked,
            };
            prop_assert_eq!(one.relation(other), expected);
        }
    }
}

#[test]
fn a_chain_with_another_root_is_handed_back_and_not_mixed_in() {
    let mut held = Chain::start(&host(0), &decide(E2ee::Off, 1));
    let mut other = Chain::start(&host(1), &decide(E2ee::Off, 2));
    other.press(&host(1), &decide(E2ee::On, 3)).unwrap();
    let before = held.clone();
    assert_eq!(
        held.merge(&other.message()),
        Ok(Merged::Other(other.clone()))
    );
    assert_eq!(held, before);
    assert_eq!(held.relation(&other), Relation::Other);
}

#[test]
fn the_last_place_in_a_chain_is_kept_for_on() {
    let alice = host(1);
    let mut chain = Chain::start(&alice, &decide(E2ee::Off, 1));
    for press in 2..=510_u16 {
        let e2ee = if press % 2 == 0 { E2ee::On } else { E2ee::Off };
        chain
            .press(&alice, &decide(e2ee, press.to_le_bytes()[0]))
            .unwrap();
    }
    assert_eq!(
        chain.press(&alice, &decide(E2ee::Off, 0)),
        Err(Refusal::Full)
    );
    chain.press(&alice, &decide(E2ee::On, 0)).unwrap();
    assert_eq!(chain.head().epoch().value(), 511);
    for e2ee in [E2ee::On, E2ee::Off] {
        assert_eq!(chain.press(&alice, &decide(e2ee, 0)), Err(Refusal::Full));
    }
    // The longest chain still fits into the room's metadata, and its parts into data packets.
    let check = HostCheck::Link(meeting().hash());
    assert_eq!(
        Chain::begin(&chain.message(), &room(), &check),
        Ok(chain.clone())
    );
    let parts = chain.messages(15_000);
    assert!(parts.iter().all(|part| part.len() <= 15_000));
    assert!(parts.len() < 30, "{}", parts.len());
}

#[test]
fn a_host_of_another_meeting_or_room_cannot_press() {
    let mut chain = Chain::start(&host(1), &decide(E2ee::Off, 1));
    let before = chain.clone();
    let stranger = roomseal_policy::MeetingKey::from_seed(&crate::people::seed(2));
    let foreign = crate::people::host_of(&stranger, &room(), 1);
    assert_eq!(
        chain.press(&foreign, &decide(E2ee::On, 2)),
        Err(Refusal::OtherMeeting)
    );
    let elsewhere = crate::people::host_of(&meeting(), &"elsewhere".parse().unwrap(), 1);
    assert_eq!(
        chain.press(&elsewhere, &decide(E2ee::On, 2)),
        Err(Refusal::OtherRoom)
    );
    assert_eq!(chain, before);
}
