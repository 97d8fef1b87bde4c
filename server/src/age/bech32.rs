//! Bech32 as keys of age are written (BIP 173, without its limit of 90 characters). Pure.

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// The factors of BIP 173's checksum.
const FACTORS: [u32; 5] = [
    0x3b6a_57b2,
    0x2650_8e6d,
    0x1ea1_19fa,
    0x3d42_33dd,
    0x2a14_62b3,
];
/// Letters of the checksum.
const CHECK: usize = 6;

/// Writes bytes under a prefix, in lower case.
#[must_use]
pub(super) fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut values = regroup(bytes, (8, 5), true).unwrap_or_default();
    let mut all = expanded(prefix);
    all.extend(&values);
    all.extend([0; CHECK]);
    let check = polymod(&all) ^ 1;
    for i in 0..CHECK {
        values.push(low_five(check >> (5 * (CHECK - 1 - i))));
    }
    let letters = values
        .iter()
        .filter_map(|value| LETTERS.get(usize::from(*value)));
    let letters = letters
        .map(|letter| char::from(*letter))
        .collect::<String>();
    format!("{prefix}1{letters}")
}

/// Reads bytes that were written under this lower-case prefix; all in one case, the check letters right, no bits left over.
#[must_use]
pub(super) fn decode(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let mixed = text.bytes().any(|c| c.is_ascii_lowercase())
        && text.bytes().any(|c| c.is_ascii_uppercase());
    if mixed {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let (found, letters) = text.rsplit_once('1')?;
    if found != prefix || letters.len() < CHECK {
        return None;
    }
    let value = |letter| LETTERS.iter().position(|known| *known == letter);
    let values: Option<Vec<u8>> = letters
        .bytes()
        .map(|letter| u8::try_from(value(letter)?).ok())
        .collect();
    let values = values?;
    let mut all = expanded(prefix);
    all.extend(&values);
    if polymod(&all) != 1 {
        return None;
    }
    let (data, _) = values.split_at_checked(values.len() - CHECK)?;
    regroup(data, (5, 8), false)
}

fn low_five(value: u32) -> u8 {
    u8::try_from(value & 31).unwrap_or_default()
}

fn expanded(prefix: &str) -> Vec<u8> {
    let high = prefix.bytes().map(|c| c >> 5);
    let low = prefix.bytes().map(|c| c & 31);
    high.chain([0]).chain(low).collect()
}

fn polymod(values: &[u8]) -> u32 {
    let mut check: u32 = 1;
    for value in values {
        let top = check >> 25;
        check = ((check & 0x01ff_ffff) << 5) ^ u32::from(*value);
        for (i, factor) in FACTORS.iter().enumerate() {
            if (top >> i) & 1 == 1 {
                check ^= factor;
            }
        }
    }
    check
}

/// Groups bits anew. What is left over is padded, or must be less than a group and zero.
fn regroup(values: &[u8], (from, to): (u32, u32), padded: bool) -> Option<Vec<u8>> {
    let (mut held, mut bits) = (0u32, 0u32);
    let mask = (1u32 << to) - 1;
    let mut grouped = Vec::new();
    for value in values {
        held = ((held << from) | u32::from(*value)) & 0xfff;
        bits += from;
        while bits >= to {
            bits -= to;
            grouped.push(u8::try_from((held >> bits) & mask).ok()?);
        }
    }
    let rest = (held << (to - bits)) & mask;
    match (padded, bits > 0) {
        (true, true) => grouped.push(u8::try_from(rest).ok()?),
        (false, _) if bits >= from || rest != 0 => return None,
        (true, false) | (false, _) => {}
    }
    Some(grouped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_specification_is_read_and_written_again() {
        let text = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
        let bytes = decode("age", text).unwrap();
        assert_eq!(bytes.len(), 32);
        assert_eq!(encode("age", &bytes), text);
        assert_eq!(decode("age", &text.to_uppercase()).unwrap(), bytes);
    }

    #[test]
    fn every_slip_of_one_letter_is_found() {
        let text = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
        for i in 0..text.len() {
            let mut slip = text.to_owned().into_bytes();
            slip[i] = if slip[i] == b'q' { b'p' } else { b'q' };
            let slip = String::from_utf8(slip).unwrap();
            assert_eq!(decode("age", &slip), None, "{i}");
        }
        for bad in [
            "",
            "age1",
            "age",
            "1",
            "agе1q",
            "Age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
        ] {
            assert_eq!(decode("age", bad), None, "{bad}");
        }
        assert_eq!(decode("bge", text), None);
    }
}
