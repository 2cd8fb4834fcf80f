/* From an ELF object to an image: the sections that are loaded, one after the other, with the distances between them written in.
 *
 * A kernel is compiled as position-independent code, so that all it wants of a linker are distances between places of its own object: from
 * code to a constant, from a call to the function that it calls. Once sections have their places these are numbers. Anything else (an
 * address, a table of addresses, a symbol from outside, data that would be written) has no place in an image and is refused by name.
 *
 * The reader believes nothing: every offset, index and size is compared with what there is.
 */
#include <elf.h>
#include <string.h>
#include "cpu.h"

typedef struct {                 /* an object while it is read */
    const unsigned char *bytes;
    size_t n;
    Elf64_Ehdr head;
    base_arena *arena;
    Elf64_Shdr *sections;        /* copies: the table may lie at any address */
    size_t *at;                  /* by section: where it lies in the image; NOWHERE: it is not loaded */
    unsigned char *image;
    size_t image_n;
    const char *wrong;           /* the first thing that is; NULL: nothing so far */
} object;

#define NOWHERE SIZE_MAX
enum { MOST = 1 << 28 };         /* bytes of an image: distances fit 32 bits with room to spare, AArch64's calls reach as far as 2^27 and are checked */

/* Always false. */
static bool refuse(object *o, const char *why) {
    if (!o->wrong) o->wrong = why;
    return false;
}

/* n bytes at `at` lie in the file. */
static bool inside(const object *o, uint64_t at, uint64_t n) { return n <= o->n && at <= o->n - n; }

/* ---- head and sections */

static bool read_head(object *o) {
    if (o->n < sizeof o->head) return refuse(o, "the object is no ELF file");
    memcpy(&o->head, o->bytes, sizeof o->head);
    const Elf64_Ehdr *h = &o->head;
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0) return refuse(o, "the object is no ELF file");
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL)
        return refuse(o, "the object is no relocatable ELF file of 64 bits, low bytes first");
    if (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64) return refuse(o, base_printf(o->arena, "the object is for machine %u", h->e_machine));
    if (h->e_shentsize != sizeof(Elf64_Shdr) || !inside(o, h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr)))
        return refuse(o, "the table of sections is outside of the object");
    return true;
}

static bool read_sections(object *o) {
    o->sections = BASE_ARRAY(o->arena, o->head.e_shnum, Elf64_Shdr);
    o->at = BASE_ARRAY(o->arena, o->head.e_shnum, size_t);
    memcpy(o->sections, o->bytes + o->head.e_shoff, o->head.e_shnum * sizeof(Elf64_Shdr));
    for (uint32_t k = 0; k < o->head.e_shnum; k++) {
        const Elf64_Shdr *s = &o->sections[k];
        o->at[k] = NOWHERE;
        if (s->sh_type != SHT_NOBITS && !inside(o, s->sh_offset, s->sh_size)) return refuse(o, "a section is outside of the object");
    }
    return true;
}

/* A text of a table of names, or "?" where it does not end inside. */
static const char *name_at(const object *o, uint32_t table, uint64_t at) {
    if (table >= o->head.e_shnum || o->sections[table].sh_type != SHT_STRTAB || at >= o->sections[table].sh_size) return "?";
    const char *text = (const char *)o->bytes + o->sections[table].sh_offset + at;
    return memchr(text, 0, o->sections[table].sh_size - at) ? text : "?";
}

static const char *section_name(const object *o, uint32_t k) { return name_at(o, o->head.e_shstrndx, o->sections[k].sh_name); }

/* What is in memory when a program runs, less the tables for stack unwinding: nothing is thrown through a kernel. */
static bool is_loaded(const object *o, uint32_t k) {
    const Elf64_Shdr *s = &o->sections[k];
    return (s->sh_flags & SHF_ALLOC) && s->sh_size && s->sh_type != SHT_NOTE && s->sh_type != SHT_X86_64_UNWIND && strcmp(section_name(o, k), ".eh_frame") != 0;
}

/* Images are read and run, never written, and all threads share one. */
static bool check_loaded(object *o, uint32_t k) {
    const Elf64_Shdr *s = &o->sections[k];
    if (s->sh_type != SHT_PROGBITS || (s->sh_flags & (SHF_WRITE | SHF_TLS)))
        return refuse(o, base_printf(o->arena, "section %s holds more than code and constants", section_name(o, k)));
    if (s->sh_addralign > RT_IMAGE_ALIGN || (s->sh_addralign & (s->sh_addralign - 1)))
        return refuse(o, base_printf(o->arena, "section %s is aligned to %llu bytes", section_name(o, k), (unsigned long long)s->sh_addralign));
    return true;
}

/* Gives sections of one kind their places, in the order of the object. */
static bool lay_out(object *o, bool code) {
    for (uint32_t k = 0; k < o->head.e_shnum; k++) {
        const Elf64_Shdr *s = &o->sections[k];
        if (!is_loaded(o, k) || code != ((s->sh_flags & SHF_EXECINSTR) != 0)) continue;
        if (!check_loaded(o, k)) return false;
        const size_t align = s->sh_addralign ? s->sh_addralign : 1;
        o->at[k] = (o->image_n + align - 1) & ~(align - 1);
        if (s->sh_size > MOST - o->at[k]) return refuse(o, "the object is too large");
        o->image_n = o->at[k] + s->sh_size;
    }
    return true;
}

/* Code first, so that an image begins with what runs; gaps are zeros. */
static bool make_image(object *o) {
    if (!lay_out(o, true) || !lay_out(o, false)) return false;
    o->image = base_alloc(o->arena, o->image_n);
    for (uint32_t k = 0; k < o->head.e_shnum; k++)
        if (o->at[k] != NOWHERE) memcpy(o->image + o->at[k], o->bytes + o->sections[k].sh_offset, o->sections[k].sh_size);
    return true;
}

/* ---- symbols */

/* Symbol i of the table in section `table`; false: there is none. */
static bool symbol_at(const object *o, uint32_t table, uint64_t i, Elf64_Sym *out) {
    if (table >= o->head.e_shnum || o->sections[table].sh_type != SHT_SYMTAB || i >= o->sections[table].sh_size / sizeof *out) return false;
    memcpy(out, o->bytes + o->sections[table].sh_offset + i * sizeof *out, sizeof *out);
    return true;
}

static const char *symbol_name(const object *o, uint32_t table, const Elf64_Sym *s) {
    if (ELF64_ST_TYPE(s->st_info) == STT_SECTION && s->st_shndx < o->head.e_shnum) return section_name(o, s->st_shndx);
    return name_at(o, o->sections[table].sh_link, s->st_name);
}

/* Where a symbol lies in the image. What is not defined here is a call out of the kernel, and named. */
static bool symbol_place(object *o, uint32_t table, const Elf64_Sym *s, size_t *out) {
    if (s->st_shndx == SHN_UNDEF) return refuse(o, base_printf(o->arena, "it calls %s", symbol_name(o, table, s)));
    if (s->st_shndx >= o->head.e_shnum || o->at[s->st_shndx] == NOWHERE || s->st_value > o->sections[s->st_shndx].sh_size)
        return refuse(o, base_printf(o->arena, "symbol %s lies outside of what is loaded", symbol_name(o, table, s)));
    *out = o->at[s->st_shndx] + s->st_value;
    return true;
}

static bool find_entry(object *o, const char *entry, size_t *out) {
    Elf64_Sym s;
    for (uint32_t table = 0; table < o->head.e_shnum; table++)
        for (uint64_t i = 1; symbol_at(o, table, i, &s); i++)
            if (strcmp(symbol_name(o, table, &s), entry) == 0 && ELF64_ST_TYPE(s.st_info) == STT_FUNC) return symbol_place(o, table, &s, out);
    return refuse(o, base_printf(o->arena, "function %s is not in the object", entry));
}

/* ---- relocations. Each is one row: how wide the field is, where in it the distance stands, and by how much that is scaled. */

/* HALVES is AArch64's ADR: the two lowest bits of the distance stand apart from the others. */
typedef enum { FIELD_BYTES, FIELD_BITS, FIELD_HALVES } field_kind;
typedef struct {
    uint16_t machine;
    uint32_t type;
    uint8_t kind, bytes;         /* bytes of the field */
    uint8_t scale, shift, bits;  /* the distance >> scale, in `bits` bits from bit `shift` on */
} relocation;
static const relocation relocations[] = {
    {EM_X86_64, R_X86_64_PC32, FIELD_BYTES, 4, 0, 0, 32},
    {EM_X86_64, R_X86_64_PLT32, FIELD_BYTES, 4, 0, 0, 32},      /* of a function in the object: no table is needed */
    {EM_X86_64, R_X86_64_PC64, FIELD_BYTES, 8, 0, 0, 64},
    {EM_AARCH64, R_AARCH64_PREL32, FIELD_BYTES, 4, 0, 0, 32},
    {EM_AARCH64, R_AARCH64_PREL64, FIELD_BYTES, 8, 0, 0, 64},
    {EM_AARCH64, R_AARCH64_ADR_PREL_LO21, FIELD_HALVES, 4, 0, 0, 21},
    {EM_AARCH64, R_AARCH64_LD_PREL_LO19, FIELD_BITS, 4, 2, 5, 19},
    {EM_AARCH64, R_AARCH64_CONDBR19, FIELD_BITS, 4, 2, 5, 19},
    {EM_AARCH64, R_AARCH64_TSTBR14, FIELD_BITS, 4, 2, 5, 14},
    {EM_AARCH64, R_AARCH64_JUMP26, FIELD_BITS, 4, 2, 0, 26},
    {EM_AARCH64, R_AARCH64_CALL26, FIELD_BITS, 4, 2, 0, 26},
};

static const relocation *relocation_of(const object *o, uint32_t type) {
    for (size_t k = 0; k < sizeof relocations / sizeof *relocations; k++)
        if (relocations[k].machine == o->head.e_machine && relocations[k].type == type) return &relocations[k];
    return NULL;
}

/* Whether the distance is whole steps of the scale and fits the field as a signed number. */
static bool fits(const relocation *r, int64_t distance) {
    if (distance & ((1 << r->scale) - 1)) return false;
    const int64_t value = distance >> r->scale;
    return r->bits == 64 || (value >= -((int64_t)1 << (r->bits - 1)) && value < (int64_t)1 << (r->bits - 1));
}

/* Low bytes first, whatever machine this runs on: images are made for others too. The other bits of the field stay. */
static void write_distance(const relocation *r, unsigned char *at, int64_t distance) {
    const uint64_t all = r->bits == 64 ? UINT64_MAX : ((uint64_t)1 << r->bits) - 1;
    uint64_t value = (uint64_t)(distance >> r->scale) & all, mask = all << r->shift, word = 0;
    value <<= r->shift;
    if (r->kind == FIELD_HALVES) {
        value = (value & 3) << 29 | (value >> 2) << 5;
        mask = (uint64_t)3 << 29 | (uint64_t)0x7ffff << 5;
    }
    for (uint32_t k = 0; k < r->bytes; k++) word |= (uint64_t)at[k] << 8 * k;
    word = (word & ~mask) | value;
    for (uint32_t k = 0; k < r->bytes; k++) at[k] = (unsigned char)(word >> 8 * k);
}

/* The addend counts from the symbol, the distance from the field. */
static bool relocate(object *o, uint32_t section, uint32_t symbols, const Elf64_Rela *from) {
    const relocation *r = relocation_of(o, (uint32_t)ELF64_R_TYPE(from->r_info));
    Elf64_Sym s;
    size_t place;
    if (!symbol_at(o, symbols, ELF64_R_SYM(from->r_info), &s)) return refuse(o, "a relocation names no symbol");
    if (!symbol_place(o, symbols, &s, &place)) return false;
    if (!r)
        return refuse(o, base_printf(o->arena, "relocation %u against %s cannot be resolved without a linker", (unsigned)ELF64_R_TYPE(from->r_info),
                                     symbol_name(o, symbols, &s)));
    if (from->r_offset > o->sections[section].sh_size || r->bytes > o->sections[section].sh_size - from->r_offset)
        return refuse(o, "a relocation is outside of its section");
    const size_t field = o->at[section] + from->r_offset;
    int64_t distance;
    if (!base_add((int64_t)place - (int64_t)field, from->r_addend, &distance) || !fits(r, distance))
        return refuse(o, base_printf(o->arena, "%s is out of reach", symbol_name(o, symbols, &s)));
    write_distance(r, o->image + field, distance);
    return true;
}

/* Tables for sections that are not loaded (unwinding, say) do not matter. */
static bool relocate_all(object *o) {
    for (uint32_t k = 0; k < o->head.e_shnum; k++) {
        const Elf64_Shdr *table = &o->sections[k];
        if (table->sh_type != SHT_RELA && table->sh_type != SHT_REL) continue;
        if (table->sh_info >= o->head.e_shnum || o->at[table->sh_info] == NOWHERE) continue;
        if (table->sh_type == SHT_REL) return refuse(o, "relocations without addends");
        for (uint64_t i = 0; i < table->sh_size / sizeof(Elf64_Rela); i++) {
            Elf64_Rela r;
            memcpy(&r, o->bytes + table->sh_offset + i * sizeof r, sizeof r);
            if (!relocate(o, table->sh_info, table->sh_link, &r)) return false;
        }
    }
    return true;
}

const char *cpu_image(const void *bytes, size_t n, const char *entry, base_arena *arena, rt_image *out) {
    object o = {.bytes = bytes, .n = n, .arena = arena};
    size_t at = 0;
    *out = (rt_image){0};
    if (!read_head(&o) || !read_sections(&o) || !make_image(&o) || !find_entry(&o, entry, &at) || !relocate_all(&o)) return o.wrong;
    if (at >= o.image_n) return "the entry is outside of the object";
    *out = (rt_image){o.image, o.image_n, at, ""};
    return NULL;
}
