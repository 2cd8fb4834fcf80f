/* Looks into an ELF object for a symbol that it needs and does not define. */
#include <elf.h>
#include <string.h>
#include "emit.h"

/* Headers come from LLVM, not from a user, but a look beyond the end costs nothing to exclude. */
static const Elf64_Shdr *section(const Elf64_Ehdr *elf, size_t bytes, uint32_t k) {
    const uint64_t at = elf->e_shoff + (uint64_t)k * elf->e_shentsize;
    return at + sizeof(Elf64_Shdr) <= bytes ? (const Elf64_Shdr *)((const char *)elf + at) : NULL;
}

/* Symbol 0 is always undefined and stands for none. Objects of other formats are let through: the linker will say. */
const char *cpu_undefined_symbol(const void *object, size_t bytes) {
    const Elf64_Ehdr *elf = object;
    if (bytes < sizeof *elf || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_ident[EI_CLASS] != ELFCLASS64) return NULL;
    for (uint32_t k = 0; k < elf->e_shnum; k++) {
        const Elf64_Shdr *table = section(elf, bytes, k);
        if (!table || table->sh_type != SHT_SYMTAB) continue;
        /* sh_link of a table of symbols is the table of their names. */
        const Elf64_Shdr *strings = section(elf, bytes, table->sh_link);
        const Elf64_Sym *symbols = (const Elf64_Sym *)((const char *)object + table->sh_offset);
        for (size_t i = 1; strings && i < table->sh_size / sizeof *symbols; i++)
            if (symbols[i].st_shndx == SHN_UNDEF) return (const char *)object + strings->sh_offset + symbols[i].st_name;
    }
    return NULL;
}
