// SPDX-License-Identifier: MIT OR Apache-2.0
//! Media over TCP: a client that has nothing else, and those who abuse it.

use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::net::{Protocol, Receive, TcpType};
use str0m::{Candidate, Input, Output, Rtc};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;

use super::*;

impl Client {
    /// Waits until the others are told that its media is connected.
    async fn is_active(&mut self, identity: &str) {
        let active = proto::participant_info::State::Active as i32;
        self.hear(|say| match say {
            Say::Update(update) => {
                let mut participants = update.participants.iter();
                participants
                    .any(|info| info.identity == identity && info.state == active)
                    .then_some(())
            }
            _ => None,
        })
        .await;
    }
}

/// Keeps a peer connection going over one stream.
async fn carry(mut rtc: Rtc, stream: TcpStream) {
    let (here, there) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let (read, mut write) = stream.into_split();
    let (sender, mut packets) = mpsc::channel(100);
    tokio::spawn(read_packets(read, sender));
    loop {
        let due = loop {
            match rtc.poll_output().unwrap() {
                Output::Timeout(at) => break at,
                Output::Transmit(transmit) => {
                    assert_eq!(
                        (transmit.proto, transmit.destination),
                        (Protocol::Tcp, there)
                    );
                    let length = u16::try_from(transmit.contents.len()).unwrap();
                    write.write_u16(length).await.unwrap();
                    write.write_all(&transmit.contents).await.unwrap();
                }
                Output::Event(_) => {}
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {
                rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
            }
            packet = packets.recv() => {
                let packet: Vec<u8> = packet.unwrap();
                let receive = Receive::new(Protocol::Tcp, there, here, &packet).unwrap();
                rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
            }
        }
    }
}

async fn read_packets(mut stream: OwnedReadHalf, packets: mpsc::Sender<Vec<u8>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut packet = vec![0; usize::from(length)];
        if stream.read_exact(&mut packet).await.is_err() || packets.send(packet).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_client_that_has_only_tcp_is_connected() {
    let (hub, media) = hub().await;
    let mut ann = super::join(hub, "ann", "room").await.unwrap();
    let (sdp, id) = ann
        .hear(|say| match say {
            Say::Offer(offer) => Some((offer.sdp.clone(), offer.id)),
            _ => None,
        })
        .await;
    assert!(
        !sdp.contains("candidate"),
        "addresses are told beside it: {sdp}"
    );
    let (candidate, last) = ann
        .hear(|say| match say {
            Say::Trickle(trickle) if trickle.candidate_init.contains(" tcp ") => {
                let init: serde_json::Value =
                    serde_json::from_str(&trickle.candidate_init).unwrap();
                Some((
                    init["candidate"].as_str().unwrap().to_owned(),
                    trickle.r#final,
                ))
            }
            _ => None,
        })
        .await;
    assert!(last);
    let theirs = Candidate::from_sdp_string(&candidate).unwrap();
    assert_eq!(
        (theirs.addr(), theirs.tcptype()),
        (media.tcp, Some(TcpType::Passive))
    );

    let stream = TcpStream::connect(media.tcp).await.unwrap();
    let mut rtc = Rtc::new(Instant::now());
    let own = Candidate::builder()
        .tcp()
        .host(stream.local_addr().unwrap())
        .tcptype(TcpType::Active)
        .build()
        .unwrap();
    rtc.add_local_candidate(own);
    let offer = SdpOffer::from_sdp_string(&sdp).unwrap();
    let answer = rtc.sdp_api().accept_offer(offer).unwrap();
    rtc.add_remote_candidate(theirs);
    ann.ask(Ask::Answer(proto::SessionDescription {
        r#type: "answer".into(),
        sdp: answer.to_sdp_string(),
        id,
        ..Default::default()
    }))
    .await;
    let carried = tokio::spawn(carry(rtc, stream));
    ann.is_active("ann").await;
    assert!(!carried.is_finished());
    carried.abort();
}

#[tokio::test]
async fn who_sends_garbage_or_takes_many_connections_is_cut_off_and_others_are_served() {
    let (hub, media) = hub().await;
    let mut ann = super::join(hub, "ann", "room").await.unwrap();
    // Packets that are nobody's, and lengths that are none.
    for packet in [&[0, 1, 7][..], &[0, 0], &[0xff; 70_000]] {
        let mut stream = TcpStream::connect(media.tcp).await.unwrap();
        let mut ended = false;
        for _ in 0..100 {
            ended = ended || stream.write_all(packet).await.is_err();
        }
        let mut answer = Vec::new();
        // Closed, or reset because something was left unread.
        let end = timeout(SOON, stream.read_to_end(&mut answer))
            .await
            .unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{answer:?}");
    }
    let mut greedy = Vec::new();
    for _ in 0..100 {
        greedy.push(TcpStream::connect(media.tcp).await.unwrap());
    }
    let mut last = greedy.pop().unwrap();
    let end = timeout(SOON, last.read(&mut [0])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
    ann.is_served().await;
}
