//! Expressions of a rule: each method appends one, as `include/uapi/linux/netfilter/nf_tables.h` lays it out.
//!
//! Registers are numbered in four-byte words, 0 to 15. A concatenated key is loaded into consecutive words.

use std::net::IpAddr;

use super::family::{Family, octets};
use crate::cidr::Cidr;
use crate::netlink::Writer;

const LIST_ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
/// First of the four-byte registers, `NFT_REG32_00`.
const REGISTER_BASE: u32 = 8;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// `NF_DROP`.
    Drop,
    /// `NFT_RETURN`.
    Return,
    /// `NFT_GOTO`.
    Goto(&'a str),
}

/// Writes a verdict's attributes (also used for elements of verdict maps).
pub(super) fn verdict(w: &mut Writer, verdict: Verdict<'_>) {
    let (code, chain) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Return => (-5, None),
        Verdict::Goto(chain) => (-4, Some(chain)),
    };
    w.nest(DATA_VERDICT, |w| {
        w.u32(1, code as u32);
        if let Some(chain) = chain {
            w.string(2, chain);
        }
    });
}

/// Metadata that rules read or write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meta {
    Mark = 3,
    InputName = 6,
    OutputName = 7,
    L4Protocol = 16,
}

/// What a dynamic map is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dynamic {
    Add = 0,
    Update = 1,
    Delete = 2,
}

/// Writes the expressions of one rule.
#[derive(Debug)]
pub(super) struct Rule<'w> {
    pub(super) writer: &'w mut Writer,
    pub(super) family: Family,
}

impl Rule<'_> {
    fn expression(&mut self, name: &str, body: impl FnOnce(&mut Writer)) -> &mut Self {
        self.writer.nest(LIST_ELEMENT, |w| {
            w.string(NAME, name);
            w.nest(DATA, body);
        });
        self
    }

    fn load_meta(&mut self, key: Meta, word: u32) -> &mut Self {
        self.expression("meta", |w| {
            w.u32(1, REGISTER_BASE + word);
            w.u32(2, key as u32);
        })
    }

    fn payload(&mut self, base: u32, offset: u32, length: u32, word: u32) -> &mut Self {
        self.expression("payload", |w| {
            w.u32(1, REGISTER_BASE + word);
            w.u32(2, base);
            w.u32(3, offset);
            w.u32(4, length);
        })
    }

    fn compare(&mut self, equal: bool, value: &[u8]) -> &mut Self {
        self.expression("cmp", |w| {
            w.u32(1, REGISTER_BASE);
            w.u32(2, u32::from(!equal));
            w.nest(3, |w| w.bytes(DATA_VALUE, value));
        })
    }

    fn mask(&mut self, mask: &[u8]) -> &mut Self {
        self.expression("bitwise", |w| {
            w.u32(1, REGISTER_BASE);
            w.u32(2, REGISTER_BASE);
            w.u32(3, mask.len() as u32);
            w.nest(4, |w| w.bytes(DATA_VALUE, mask));
            w.nest(5, |w| w.bytes(DATA_VALUE, &vec![0; mask.len()]));
        })
    }

    fn immediate(&mut self, value: &[u8]) -> &mut Self {
        self.expression("immediate", |w| {
            w.u32(1, REGISTER_BASE);
            w.nest(2, |w| w.bytes(DATA_VALUE, value));
        })
    }

    /// Ends with a verdict.
    pub(super) fn verdict(&mut self, what: Verdict<'_>) -> &mut Self {
        self.expression("immediate", |w| {
            w.u32(1, 0);
            w.nest(2, |w| verdict(w, what));
        })
    }

    // === matches

    /// `iifname "PREFIX*"`.
    pub(super) fn input_prefix(&mut self, prefix: &str) -> &mut Self {
        self.load_meta(Meta::InputName, 0)
            .compare(true, prefix.as_bytes())
    }

    /// `oifname "PREFIX*"`.
    pub(super) fn output_prefix(&mut self, prefix: &str) -> &mut Self {
        self.load_meta(Meta::OutputName, 0)
            .compare(true, prefix.as_bytes())
    }

    /// `ip saddr RANGE`.
    pub(super) fn source_in(&mut self, range: &Cidr) -> &mut Self {
        self.in_range(self.family.source_offset(), range)
    }

    /// `ip daddr RANGE`.
    pub(super) fn destination_in(&mut self, range: &Cidr) -> &mut Self {
        self.in_range(self.family.destination_offset(), range)
    }

    /// As nft writes it: whole bytes are loaded at their length, a broken one is masked.
    fn in_range(&mut self, offset: u32, range: &Cidr) -> &mut Self {
        let base = octets(range.base());
        let length = usize::from(range.length());
        if length == 0 {
            return self;
        }
        if length.is_multiple_of(8) {
            let bytes = length / 8;
            return self
                .payload(1, offset, bytes as u32, 0)
                .compare(true, &base[..bytes]);
        }
        let mask: Vec<u8> = (0..base.len())
            .map(|i| {
                (0..8)
                    .filter(|bit| i * 8 + bit < length)
                    .fold(0, |m, bit| m | 0x80 >> bit)
            })
            .collect();
        self.payload(1, offset, base.len() as u32, 0)
            .mask(&mask)
            .compare(true, &base)
    }

    /// `ip daddr != ADDRESS`.
    pub(super) fn destination_not(&mut self, ip: IpAddr) -> &mut Self {
        let (offset, length) = (self.family.destination_offset(), self.family.address_length());
        self.payload(1, offset, length, 0).compare(false, &octets(ip))
    }

    /// `fib saddr . iif oif missing`: the way back to the source is not through where it came from.
    pub(super) fn source_elsewhere(&mut self) -> &mut Self {
        self.fib(1, 1 | 8 | 32).compare(true, &0_u32.to_ne_bytes())
    }

    /// `fib daddr type local`.
    pub(super) fn destination_local(&mut self) -> &mut Self {
        self.fib(3, 2).compare(true, &2_u32.to_ne_bytes())
    }

    fn fib(&mut self, result: u32, flags: u32) -> &mut Self {
        self.expression("fib", |w| {
            w.u32(1, REGISTER_BASE);
            w.u32(2, result);
            w.u32(3, flags);
        })
    }

    /// `meta l4proto tcp`.
    pub(super) fn tcp(&mut self) -> &mut Self {
        self.protocol(libc::IPPROTO_TCP as u8)
    }

    /// `meta l4proto NUMBER`.
    pub(super) fn protocol(&mut self, number: u8) -> &mut Self {
        self.load_meta(Meta::L4Protocol, 0).compare(true, &[number])
    }

    /// `meta mark VALUE`.
    pub(super) fn mark_is(&mut self, value: u32) -> &mut Self {
        self.load_meta(Meta::Mark, 0).compare(true, &value.to_ne_bytes())
    }

    /// `ct status dnat`.
    pub(super) fn translated(&mut self) -> &mut Self {
        self.load_ct(2, 0)
            .mask(&0x20_u32.to_ne_bytes())
            .compare(false, &0_u32.to_ne_bytes())
    }

    /// `ct mark & 0x7fff0000 == 0x0`.
    pub(super) fn ct_mark_small(&mut self) -> &mut Self {
        self.load_ct(3, 0)
            .mask(&0x7fff_0000_u32.to_ne_bytes())
            .compare(true, &0_u32.to_ne_bytes())
    }

    // === keys: each loads from `word` on and returns the next free word

    /// `ip saddr`.
    pub(super) fn key_source(&mut self, word: u32) -> u32 {
        self.payload(1, self.family.source_offset(), self.family.address_length(), word);
        word + self.family.address_words()
    }

    /// `ip daddr`.
    pub(super) fn key_destination(&mut self, word: u32) -> u32 {
        self.payload(
            1,
            self.family.destination_offset(),
            self.family.address_length(),
            word,
        );
        word + self.family.address_words()
    }

    /// `meta l4proto . th dport`.
    pub(super) fn key_port(&mut self, word: u32) -> u32 {
        self.load_meta(Meta::L4Protocol, word).payload(2, 2, 2, word + 1);
        word + 2
    }

    /// `numgen random mod N`.
    pub(super) fn key_random(&mut self, modulus: u32, word: u32) -> u32 {
        self.expression("numgen", |w| {
            w.u32(1, REGISTER_BASE + word);
            w.u32(2, modulus);
            w.u32(3, 1);
            w.u32(4, 0);
        });
        word + 1
    }

    /// `ct mark`.
    pub(super) fn key_ct_mark(&mut self, word: u32) -> u32 {
        self.load_ct(3, word);
        word + 1
    }

    /// `meta mark`.
    pub(super) fn key_mark(&mut self, word: u32) -> u32 {
        self.load_meta(Meta::Mark, word);
        word + 1
    }

    fn load_ct(&mut self, key: u32, word: u32) -> &mut Self {
        self.expression("ct", |w| {
            w.u32(1, REGISTER_BASE + word);
            w.u32(2, key);
        })
    }

    // === look-ups of the key loaded from word 0

    /// `... @SET`: goes on only when the key is in the set.
    pub(super) fn in_set(&mut self, set: &str) -> &mut Self {
        self.expression("lookup", |w| {
            w.string(1, set);
            w.u32(2, REGISTER_BASE);
        })
    }

    /// `... map @MAP`: the value replaces the key from word 0 on.
    pub(super) fn map(&mut self, map: &str) -> &mut Self {
        self.expression("lookup", |w| {
            w.string(1, map);
            w.u32(2, REGISTER_BASE);
            w.u32(3, REGISTER_BASE);
        })
    }

    /// `... vmap @MAP`.
    pub(super) fn verdict_map(&mut self, map: &str) -> &mut Self {
        self.expression("lookup", |w| {
            w.string(1, map);
            w.u32(2, REGISTER_BASE);
            w.u32(3, 0);
        })
    }

    /// `add/update/delete @MAP { KEY [timeout T] : VALUE }`, key from word 0, value in word `value`.
    pub(super) fn dynamic(&mut self, op: Dynamic, map: &str, value: u32, timeout: Option<u32>) -> &mut Self {
        self.expression("dynset", |w| {
            w.string(1, map);
            w.u32(3, op as u32);
            w.u32(4, REGISTER_BASE);
            w.u32(5, REGISTER_BASE + value);
            if let Some(seconds) = timeout {
                w.u64(6, u64::from(seconds) * 1000);
            }
        })
    }

    // === actions

    /// `meta mark set VALUE`.
    pub(super) fn set_mark(&mut self, value: u32) -> &mut Self {
        self.immediate(&value.to_ne_bytes()).set_mark_from_word()
    }

    /// `meta mark set` what word 0 holds.
    pub(super) fn set_mark_from_word(&mut self) -> &mut Self {
        self.expression("meta", |w| {
            w.u32(3, REGISTER_BASE);
            w.u32(2, Meta::Mark as u32);
        })
    }

    /// `ct mark set` what word 0 holds.
    pub(super) fn set_ct_mark_from_word(&mut self) -> &mut Self {
        self.expression("ct", |w| {
            w.u32(2, 3);
            w.u32(4, REGISTER_BASE);
        })
    }

    /// `dnat ip to` the address and port from word 0 on.
    pub(super) fn dnat(&mut self) -> &mut Self {
        let (family, port) = (
            u32::from(self.family.number()),
            REGISTER_BASE + self.family.address_words(),
        );
        self.expression("nat", |w| {
            w.u32(1, 1);
            w.u32(2, family);
            w.u32(3, REGISTER_BASE);
            w.u32(5, port);
        })
    }

    /// `snat to ADDRESS fully-random`.
    pub(super) fn snat(&mut self, ip: IpAddr) -> &mut Self {
        let family = u32::from(self.family.number());
        self.immediate(&octets(ip)).expression("nat", |w| {
            w.u32(1, 0);
            w.u32(2, family);
            w.u32(3, REGISTER_BASE);
            w.u32(7, 0x10);
        })
    }

    /// `masquerade fully-random`.
    pub(super) fn masquerade(&mut self) -> &mut Self {
        self.expression("masq", |w| w.u32(1, 0x10))
    }

    /// `reject with tcp reset`.
    pub(super) fn reset(&mut self) -> &mut Self {
        self.expression("reject", |w| {
            w.u32(1, 1);
            w.bytes(2, &[0]);
        })
    }

    /// `reject` (port unreachable).
    pub(super) fn reject(&mut self) -> &mut Self {
        let code = self.family.port_unreachable();
        self.expression("reject", |w| {
            w.u32(1, 0);
            w.bytes(2, &[code]);
        })
    }
}
