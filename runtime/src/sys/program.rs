//! The program's own pages in this process's memory.

use std::ops::Range;

use super::{SysResult, check_int};

/// Takes the program's read-only pages (code and constants, not those of the libraries) out of this process's memory. They
/// stay in the page cache, from where each comes back when it is next touched, with those around it: the first piece of
/// work afterwards takes a few hundred minor faults, less than a millisecond together.
///
/// Breakpoints are private pages in place of the program's, and go too: a debugger sets them again when it next stops the
/// process, uprobes stay away.
pub fn release_program_pages() -> SysResult<()> {
    for pages in read_only_segments() {
        // SAFETY: these are whole pages of a mapping that is the file's and was never written to, so that what comes back
        // is what was there.
        check_int(unsafe { libc::madvise(pages.start as *mut _, pages.len(), libc::MADV_DONTNEED) })?;
    }
    Ok(())
}

/// The addresses of the program's segments that nobody may write to, by its program headers (elf(5)): relocations change
/// others only, also those that are read-only afterwards.
fn read_only_segments() -> Vec<Range<usize>> {
    /// dl_iterate_phdr(3) shows the program itself first.
    unsafe extern "C" fn first(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the C library passes a valid structure, and the pointer that was given to it below.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Range<usize>>>()) };
        if !info.dlpi_phdr.is_null() {
            // SAFETY: the structure says where the headers are and how many; they are part of the program.
            let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
            found.extend(
                headers
                    .iter()
                    .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0)
                    .map(|header| {
                        let start = info.dlpi_addr as usize + header.p_vaddr as usize;
                        start..start + header.p_memsz as usize
                    }),
            );
        }
        1 // enough: the rest are libraries
    }
    let mut found: Vec<Range<usize>> = Vec::new();
    // SAFETY: the function has the right type, and `found` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
    // SAFETY: takes an integer.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(1 << 16);
    found
        .into_iter()
        // A page at an end may be shared with a segment that is written to.
        .map(|bytes| bytes.start.next_multiple_of(page)..bytes.end / page * page)
        .filter(|pages| !pages.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Constants that no other test reads, of which the kernel maps none with its neighbours' but those at the ends.
    static CONSTANTS: [u8; 1 << 20] = [7; 1 << 20];
    static VARIABLE: AtomicUsize = AtomicUsize::new(1);
    /// Relocated when the program starts, and read-only from then on.
    static RELOCATED: [fn() -> usize; 2] = [first, second];

    fn first() -> usize {
        VARIABLE.load(Ordering::Relaxed)
    }

    fn second() -> usize {
        VARIABLE.load(Ordering::Relaxed) + 1
    }

    /// How many of the pages of a range this process has in its memory (pagemap: bit 63 of a page's word).
    fn present(range: &Range<usize>, page: usize) -> usize {
        let pagemap = std::fs::File::open("/proc/self/pagemap").unwrap();
        let words = range.clone().step_by(page).filter(|address| {
            let mut word = [0; 8];
            pagemap
                .read_exact_at(&mut word, (address / page * 8) as u64)
                .unwrap();
            u64::from_ne_bytes(word) >> 63 == 1
        });
        words.count()
    }

    fn sum() -> usize {
        black_box(&CONSTANTS).iter().copied().map(usize::from).sum()
    }

    #[test]
    fn the_pages_leave_and_come_back() {
        // SAFETY: takes an integer.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
        let ends = 1 << 17;
        let start = CONSTANTS.as_ptr() as usize / page * page;
        let middle = start + ends..start + CONSTANTS.len() - ends;
        VARIABLE.store(41, Ordering::Relaxed);
        let before = sum();
        assert_eq!(present(&middle, page), middle.len() / page);
        release_program_pages().unwrap();
        assert_eq!(present(&middle, page), 0);
        assert_eq!(sum(), before);
        assert_eq!(present(&middle, page), middle.len() / page);
        // What is written to stays as it is, also what is so at the start only.
        assert_eq!(black_box(&RELOCATED).map(|function| function()), [41, 42]);
    }

    #[test]
    fn code_and_constants_are_read_only_and_variables_are_not() {
        let segments = read_only_segments();
        let contains = |address: usize| segments.iter().any(|pages| pages.contains(&address));
        assert!(contains(&raw const CONSTANTS[CONSTANTS.len() / 2] as usize));
        assert!(contains(sum as fn() -> usize as usize));
        assert!(!contains(&raw const VARIABLE as usize));
        assert!(!contains(&raw const RELOCATED as usize));
    }
}
