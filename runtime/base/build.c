/* Build ids: what a linker writes into a file to name its contents (the ELF note NT_GNU_BUILD_ID). Two files with the same id are the same code. */
#define _GNU_SOURCE              /* dl_iterate_phdr */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>
#include "base.h"

enum { MOST_NOTES = 4096, MOST_ID = 64 };

typedef struct { unsigned char bytes[MOST_ID]; size_t n; } id;

/* Notes stand one after the other: lengths, kind, name, then contents, both padded to 4 bytes. */
static bool find_note(const unsigned char *at, size_t n, id *out) {
    while (n >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, at, sizeof note);
        const size_t name = ((size_t)note.n_namesz + 3) & ~(size_t)3, contents = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        if (name > n || contents > n || sizeof note + name + contents > n) return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(at + sizeof note, "GNU", 4) && note.n_descsz && note.n_descsz <= MOST_ID) {
            out->n = note.n_descsz;
            memcpy(out->bytes, at + sizeof note + name, out->n);
            return true;
        }
        at += sizeof note + name + contents;
        n -= sizeof note + name + contents;
    }
    return false;
}

static const char *text_of(base_arena *arena, const id *i) {
    char *text = base_alloc(arena, 2 * i->n + 1);
    for (size_t k = 0; k < i->n; k++) snprintf(text + 2 * k, 3, "%02x", i->bytes[k]);
    return text;
}

/* ---- of a file, which is not loaded */

static bool read_at(int fd, uint64_t at, void *to, size_t n) { return at <= INT64_MAX && pread(fd, to, n, (off_t)at) == (ssize_t)n; }

static bool find_in_file(int fd, id *out) {
    Elf64_Ehdr h;
    if (!read_at(fd, 0, &h, sizeof h) || memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_phentsize != sizeof(Elf64_Phdr)) return false;
    for (uint64_t k = 0; k < h.e_phnum; k++) {
        Elf64_Phdr p;
        unsigned char notes[MOST_NOTES];
        if (!read_at(fd, h.e_phoff + k * sizeof p, &p, sizeof p)) return false;
        const size_t n = p.p_filesz < sizeof notes ? p.p_filesz : sizeof notes;
        if (p.p_type == PT_NOTE && read_at(fd, p.p_offset, notes, n) && find_note(notes, n, out)) return true;
    }
    return false;
}

const char *base_build_id_of_file(const char *path, base_arena *arena) {
    id found;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return NULL;
    const bool fine = find_in_file(fd, &found);
    close(fd);
    return fine ? text_of(arena, &found) : NULL;
}

/* ---- of the code that holds an address */

typedef struct { uintptr_t address; id found; } search;

static bool holds(const struct dl_phdr_info *info, uintptr_t address) {
    for (unsigned k = 0; k < info->dlpi_phnum; k++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[k];
        if (p->p_type == PT_LOAD && address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz) return true;
    }
    return false;
}

/* 1 ends the walk over the objects of the process. */
static int look(struct dl_phdr_info *info, size_t n, void *env) {
    search *s = env;
    (void)n;
    if (!holds(info, s->address)) return 0;
    for (unsigned k = 0; k < info->dlpi_phnum; k++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[k];
        if (p->p_type == PT_NOTE && find_note((const unsigned char *)(info->dlpi_addr + p->p_vaddr), p->p_memsz, &s->found)) break;
    }
    return 1;
}

static const char here;          /* lies in the library, or the program, that this file was linked into */

const char *base_build_id_of_here(base_arena *arena) {
    search s = {.address = (uintptr_t)&here};
    dl_iterate_phdr(look, &s);
    return s.found.n ? text_of(arena, &s.found) : NULL;
}
