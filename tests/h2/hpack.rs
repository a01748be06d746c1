//! Compressed fields (RFC 7541): what a client writes, and what a server answers to a client that
//! keeps no table.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Returns literal fields that are not indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes())).collect()
}

/// Returns a literal field that is not indexed (section 6.2.2).
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0][..], &string(name), &string(value)].concat()
}

/// Returns a string that is not compressed (section 5.2).
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [integer(0, 7, bytes.len()), bytes.to_vec()].concat()
}

/// Returns a string that is compressed.
pub fn huffman(bytes: &[u8]) -> Vec<u8> {
    let mut bits: String = bytes.iter().map(|&byte| code_of(byte.into())).collect();
    bits.extend(std::iter::repeat_n('1', bits.len().wrapping_neg() % 8));
    let packed: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0')))
        .collect();
    [integer(0x80, 7, packed.len()), packed].concat()
}

/// Returns an integer whose first byte has these bits before a prefix of this length (section 5.1).
pub fn integer(first: u8, prefix: u32, value: usize) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if value < most {
        return vec![first | value as u8];
    }
    let mut bytes = vec![first | most as u8];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// Reads fields that refer to no table but the static one.
///
/// # Errors
///
/// What is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut reader = Reader { rest: bytes };
    let mut fields = Vec::new();
    while let Some(&first) = reader.rest.first() {
        match first {
            0x80.. => {
                let (name, value) = entry(reader.integer(7)?)?;
                fields.push((name.to_owned(), value.to_owned()));
            }
            0x40..0x80 => fields.push(reader.literal(6)?),
            0x20..0x40 if !fields.is_empty() => return Err("a size behind a field".into()),
            0x20..0x40 => match reader.integer(5)? {
                0 => {}
                size => return Err(format!("a table of {size} bytes")),
            },
            ..0x20 => fields.push(reader.literal(4)?),
        }
    }
    Ok(fields)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (byte, rest) = self.rest.split_first().ok_or("it breaks off")?;
        self.rest = rest;
        Ok(*byte)
    }

    fn integer(&mut self, prefix: u32) -> Result<usize, String> {
        let most = (1 << prefix) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a large integer".into())
    }

    fn literal(&mut self, prefix: u32) -> Result<(String, String), String> {
        let name = match self.integer(prefix)? {
            0 => self.string()?,
            index => entry(index)?.0.to_owned(),
        };
        Ok((name, self.string()?))
    }

    fn string(&mut self) -> Result<String, String> {
        let is_compressed = self.rest.first().is_some_and(|first| *first >= 0x80);
        let length = self.integer(7)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or("a string breaks off")?;
        self.rest = rest;
        let bytes = if is_compressed { expand(bytes)? } else { bytes.to_vec() };
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }
}

fn entry(index: usize) -> Result<(&'static str, &'static str), String> {
    let entry = index.checked_sub(1).and_then(|place| STATIC.get(place));
    entry.copied().ok_or_else(|| format!("no entry {index}"))
}

/// Reads a compressed string.
fn expand(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut found = Vec::new();
    let (mut code, mut length) = (0, 0);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |place| u32::from(byte >> place) & 1)) {
        (code, length) = (code << 1 | bit, length + 1);
        if let Some(symbol) = CODES.symbols.get(&(length, code)) {
            found.push(u8::try_from(*symbol).map_err(|_| "EOS in a string")?);
            (code, length) = (0, 0);
        }
    }
    let is_padding = length < 8 && code + 1 == 1 << length;
    is_padding.then_some(found).ok_or_else(|| "wrong padding".into())
}

/// Returns the bits of the code of a symbol, of which 256 is EOS.
pub fn code_of(symbol: usize) -> String {
    let length = usize::from(LENGTHS[symbol]);
    format!("{:0length$b}", CODES.codes[symbol])
}

struct Codes {
    codes: Vec<u32>,
    /// Symbols by the length and the bits of their codes.
    symbols: HashMap<(u8, u32), usize>,
}

/// The code is canonical (appendix B), so the lengths say all: codes of one length follow each other,
/// and those of the next length continue them.
static CODES: LazyLock<Codes> = LazyLock::new(|| {
    let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
    order.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
    let mut found = Codes { codes: vec![0; LENGTHS.len()], symbols: HashMap::new() };
    let (mut next, mut before) = (0, 0);
    for symbol in order {
        let length = LENGTHS[symbol];
        next <<= length - before;
        found.codes[symbol] = next;
        found.symbols.insert((length, next), symbol);
        (next, before) = (next + 1, length);
    }
    found
});

/// Lengths of the codes of all bytes, and of EOS (appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// Static table (appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
    ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""),
    ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
    ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
    ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
    ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""),
    ("via", ""), ("www-authenticate", ""),
];

#[test]
fn the_examples_of_the_rfc_are_read() {
    // Appendices C.4.1 and C.2.1 to C.2.3.
    assert_eq!(huffman(b"www.example.com"), *b"\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff");
    let found = decode(b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff").unwrap();
    let expected =
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(decode(b"\x10\x08password\x06secret").unwrap(), [("password".into(), "secret".into())]);
    assert_eq!(decode(&block(&[("a", &"b".repeat(5000))])).unwrap()[0].1.len(), 5000);
    assert!(decode(b"\xbe").is_err(), "an entry of a table that is empty");
}
