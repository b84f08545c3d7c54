// SPDX-License-Identifier: MIT OR Apache-2.0
//! LiveKit's frame format once more, written from its description, as plainly and slowly as possible, and sharing no
//! code with the crate: AES and GHASH of its own, one byte or bit at a time.

use std::sync::LazyLock;

/// AES-128, FIPS 197, encrypting one block.
fn aes(key: &[u8; 16], block: &[u8; 16]) -> [u8; 16] {
    let mut words: Vec<[u8; 4]> = key.chunks(4).map(|w| w.try_into().unwrap()).collect();
    let mut rcon = 1;
    for i in 4..44 {
        let mut t = words[i - 1];
        if i % 4 == 0 {
            t = [s_box(t[1]) ^ rcon, s_box(t[2]), s_box(t[3]), s_box(t[0])];
            rcon = double(rcon);
        }
        words.push(std::array::from_fn(|b| words[i - 4][b] ^ t[b]));
    }
    let round_key =
        |round: usize| -> [u8; 16] { words[4 * round..][..4].concat().try_into().unwrap() };
    let mut state: [u8; 16] = xor(block, &round_key(0));
    for round in 1..=10 {
        let shifted: [u8; 16] = std::array::from_fn(|i| s_box(state[(i + 4 * (i % 4)) % 16]));
        state = if round == 10 {
            shifted
        } else {
            std::array::from_fn(|i| {
                let column = &shifted[i / 4 * 4..][..4];
                let at = |offset: usize| column[(i + offset) % 4];
                double(at(0)) ^ double(at(1)) ^ at(1) ^ at(2) ^ at(3)
            })
        };
        state = xor(&state, &round_key(round));
    }
    state
}

fn double(byte: u8) -> u8 {
    (byte << 1) ^ if byte & 0x80 == 0 { 0 } else { 0x1B }
}

fn s_box(byte: u8) -> u8 {
    static TABLE: LazyLock<[u8; 256]> =
        LazyLock::new(|| std::array::from_fn(|byte| substitute(byte as u8)));
    TABLE[usize::from(byte)]
}

fn substitute(byte: u8) -> u8 {
    let times = |mut a: u8, mut b: u8| {
        let mut product = 0;
        while b != 0 {
            if b & 1 == 1 {
                product ^= a;
            }
            a = double(a);
            b >>= 1;
        }
        product
    };
    let inverse = (0..=255)
        .find(|other| times(byte, *other) == 1)
        .unwrap_or(0);
    (0..5).fold(0x63, |sum, turn| sum ^ inverse.rotate_left(turn))
}

fn xor(a: &[u8; 16], b: &[u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// AES-128-GCM, NIST SP 800-38D, with a 12-byte IV: ciphertext and tag.
pub(crate) fn gcm(key: &[u8; 16], iv: &[u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let counter_block = |counter: u32| -> [u8; 16] {
        aes(
            key,
            &[&iv[..], &counter.to_be_bytes()]
                .concat()
                .try_into()
                .unwrap(),
        )
    };
    let mut sealed = Vec::new();
    for (chunk, counter) in plain.chunks(16).zip(2..) {
        sealed.extend(chunk.iter().zip(counter_block(counter)).map(|(a, b)| a ^ b));
    }
    let h = u128::from_be_bytes(aes(key, &[0; 16]));
    let lengths = ((aad.len() as u128 * 8) << 64) | (sealed.len() as u128 * 8);
    let blocks = aad.chunks(16).chain(sealed.chunks(16)).map(|chunk| {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        u128::from_be_bytes(block)
    });
    let hash = blocks.chain([lengths]).fold(0, |hash, block| {
        let (mut product, mut v) = (0, h);
        for bit in (0..128).rev() {
            if (hash ^ block) >> bit & 1 == 1 {
                product ^= v;
            }
            v = (v >> 1) ^ if v & 1 == 1 { 0xE1 << 120 } else { 0 };
        }
        product
    });
    sealed.extend(xor(&hash.to_be_bytes(), &counter_block(1)));
    sealed
}

/// A sealed frame with a clear header of the given length, for codecs without escapes.
pub(crate) fn seal(
    key: &[u8; 16],
    iv: &[u8; 12],
    index: u8,
    header: usize,
    frame: &[u8],
) -> Vec<u8> {
    [
        &frame[..header],
        &gcm(key, iv, &frame[..header], &frame[header..]),
        iv,
        &[12, index],
    ]
    .concat()
}

/// A sealed H.264 access unit: what follows the header is escaped.
pub(crate) fn seal_h264(
    key: &[u8; 16],
    iv: &[u8; 12],
    index: u8,
    header: usize,
    frame: &[u8],
) -> Vec<u8> {
    let sealed = seal(key, iv, index, header, frame);
    let mut out = sealed[..header].to_vec();
    let mut zeros = 0;
    for byte in &sealed[header..] {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(*byte);
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
    out
}

/// Offset behind the NAL header and one byte of the first slice.
pub(crate) fn h264_header(frame: &[u8]) -> usize {
    (3..frame.len())
        .find(|at| frame[at - 3..*at] == [0, 0, 1] && matches!(frame[*at] & 0x1F, 1 | 5))
        .unwrap()
        + 2
}

#[test]
fn the_reference_itself_gives_the_published_answers() {
    let key: [u8; 16] = hex::decode("000102030405060708090a0b0c0d0e0f")
        .unwrap()
        .try_into()
        .unwrap();
    let block: [u8; 16] = hex::decode("00112233445566778899aabbccddeeff")
        .unwrap()
        .try_into()
        .unwrap();
    // FIPS 197, appendix C.1.
    assert_eq!(
        hex::encode(aes(&key, &block)),
        "69c4e0d86a7b0430d8cdb78070b4c55a"
    );

    // The GCM specification's test case 4.
    let key: [u8; 16] = hex::decode("feffe9928665731c6d6a8f9467308308")
        .unwrap()
        .try_into()
        .unwrap();
    let iv: [u8; 12] = hex::decode("cafebabefacedbaddecaf888")
        .unwrap()
        .try_into()
        .unwrap();
    let aad = hex::decode("feedfacedeadbeeffeedfacedeadbeefabaddad2").unwrap();
    let plain = hex::decode(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    )
    .unwrap();
    assert_eq!(
        hex::encode(gcm(&key, &iv, &aad, &plain)),
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
         21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091\
         5bc94fbc3221a5db94fae95ae7121a47"
    );
}
