//! Packets that are almost queries, and packets that are noise.

/// A source of packets; the same seed gives the same packets. Fast and plain, for there are millions.
pub(crate) struct Mutator {
    state: u64,
}

/// Values at which parsers go wrong, for a 16-bit field.
const EDGES: [u16; 12] = [0, 1, 2, 11, 12, 40, 41, 255, 512, 0x7fff, 0x8000, 0xffff];

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A packet made from one of these queries, or from nothing.
    pub(crate) fn packet(&mut self, queries: &[Vec<u8>]) -> Vec<u8> {
        match self.below(12) {
            0 => self.noise(),
            1 => self.noise_behind_a_header(),
            _ => {
                let mut packet = self.pick(queries).clone();
                for _ in 0..=self.below(4) {
                    self.mutate(&mut packet);
                }
                packet
            }
        }
    }

    /// Any number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn noise(&mut self) -> Vec<u8> {
        let most = *self.pick(&[4, 16, 64, 600, 2000]);
        (0..self.below(most)).map(|_| self.byte()).collect()
    }

    /// A header that promises little, so that the noise is read as names and records.
    fn noise_behind_a_header(&mut self) -> Vec<u8> {
        let mut packet = vec![self.byte(), self.byte(), self.byte() & 1, 0];
        for _ in 0..4 {
            packet.extend([0, u8::try_from(self.below(3)).unwrap()]);
        }
        packet.extend(self.noise());
        packet
    }

    fn mutate(&mut self, packet: &mut Vec<u8>) {
        let at = self.below(packet.len());
        match self.below(14) {
            0 => self.flip(packet, at),
            1 => {
                // One of the flags, opcode and count fields.
                let at = self.below(12);
                self.flip(packet, at);
            }
            2 => packet.truncate(at),
            3 => {
                let noise = self.noise();
                packet.extend(noise);
            }
            4 => {
                let value = *self.pick(&EDGES);
                overwrite(packet, at, &value.to_be_bytes());
            }
            5 => {
                let count = 4 + 2 * self.below(4);
                let value = *self.pick(&EDGES);
                overwrite(packet, count, &value.to_be_bytes());
            }
            6 => {
                // A pointer, to itself, forwards or backwards, in a name or anywhere.
                let at = *self.pick(&[12, 13, at]);
                let pointer = [0xc0 | self.byte() & self.byte() & 0x3f, self.byte() & 63];
                overwrite(packet, at, &pointer);
            }
            7 => {
                let length = *self.pick(&[0, 1, 63, 64, 0x7f, 0x80, 0xbf, 0xff]);
                overwrite(packet, *self.pick(&[12, at]), &[length]);
            }
            8 => self.add_opt(packet),
            9 => {
                let copy = packet.get(at..).map(<[u8]>::to_vec).unwrap_or_default();
                packet.extend(copy);
            }
            10 => drop(packet.drain(at..packet.len().min(at + 1 + self.below(4)))),
            11 => self.add_record(packet),
            12 => {
                // A name of many labels, so that lengths add up to 255 and more.
                let (number, octet) = (self.below(130), self.byte());
                let labels = (0..number).flat_map(|_| [1, octet]).collect::<Vec<u8>>();
                packet.splice(12.min(packet.len())..12.min(packet.len()), labels);
            }
            _ => {
                // Another type or class: they stand before the OPT record, or at the end.
                let end = packet.len().saturating_sub(*self.pick(&[0, 11]));
                let value = *self.pick(&EDGES);
                overwrite(packet, end.saturating_sub(*self.pick(&[2, 4])), &value.to_be_bytes());
            }
        }
    }

    fn flip(&mut self, packet: &mut [u8], at: usize) {
        if let Some(octet) = packet.get_mut(at) {
            *octet ^= 1 << self.below(8);
        }
    }

    /// An OPT record more, with options whose lengths may lie.
    fn add_opt(&mut self, packet: &mut Vec<u8>) {
        let owners: [&[u8]; 5] = [&[0], &[0], &[0], &[1, b'x', 0], &[0xc0, 12]];
        let owner = *self.pick(&owners);
        let (size, version) = (*self.pick(&EDGES), *self.pick(&[0, 0, 0, 1, 255]));
        let mut options = Vec::new();
        for _ in 0..self.below(4) {
            let length = self.below(40);
            let said = if self.below(4) == 0 { self.below(70) } else { length };
            options.extend([0, *self.pick(&[3, 8, 10, 12, 15])]);
            options.extend(u16::try_from(said).unwrap().to_be_bytes());
            options.extend((0..length).map(|_| self.byte()));
        }
        let said = if self.below(4) == 0 { self.below(300) } else { options.len() };
        packet.extend(owner);
        packet.extend([0, 41]);
        packet.extend(size.to_be_bytes());
        packet.extend([0, version, self.byte(), self.byte()]);
        packet.extend(u16::try_from(said).unwrap().to_be_bytes());
        packet.extend(options);
        self.count_up(packet, 10);
    }

    /// A record of some other type (TSIG, SIG, A, SOA) in some section, counted or not.
    fn add_record(&mut self, packet: &mut Vec<u8>) {
        packet.extend([0, 0, *self.pick(&[250, 24, 1, 6]), 0, *self.pick(&[1, 255]), 0, 0, 0, 0]);
        let length = u8::try_from(self.below(24)).unwrap();
        packet.extend([0, length]);
        packet.extend((0..length).map(|_| self.byte()));
        let section = *self.pick(&[4, 6, 8, 10, 10]);
        self.count_up(packet, section);
    }

    fn count_up(&mut self, packet: &mut [u8], at: usize) {
        if let Some(low) = packet.get_mut(at + 1).filter(|_| self.below(8) > 0) {
            *low = low.wrapping_add(1);
        }
    }
}

/// Overwrites what is there; never grows the packet.
fn overwrite(packet: &mut [u8], at: usize, octets: &[u8]) {
    for (to, from) in packet.iter_mut().skip(at).zip(octets) {
        *to = *from;
    }
}
