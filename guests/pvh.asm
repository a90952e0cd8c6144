; pvh: a small kernel for x86-64 that is started by the PVH boot protocol. It enters 64-bit mode and prints its command
; line, its modules' strings, and what the memory map has, then switches the machine off. The ELF headers are written by
; hand, so that the file is a plain binary for nasm.
;
;       nasm -f bin -o pvh.bin pvh.asm                  in this folder

        org     0x100000

PT_LOAD         equ 1
PT_NOTE         equ 4
PHYS32_ENTRY    equ 18                  ; XEN_ELFNOTE_PHYS32_ENTRY
START_MAGIC     equ 0x336ec578          ; of the start information, at EBX

; Offsets in the start information, a module's entry (32 bytes) and an entry of the map (24 bytes)
INFO_MODULES    equ 12
INFO_LIST       equ 16
INFO_CMDLINE    equ 24
INFO_RSDP       equ 32
INFO_MAP        equ 40
INFO_ENTRIES    equ 48
MODULE_TEXT     equ 16

SERIAL          equ 0x3f8
PM_CONTROL      equ 0x404
PM_SLEEP_S5     equ 0x3400
CODE_64         equ 8
DATA            equ 16

image:
        db      0x7f, "ELF", 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
        dw      2, 62                   ; an executable for x86-64
        dd      1
        dq      start
        dq      program_headers - image
        dq      0
        dd      0
        dw      64, 56, 2, 0, 0, 0

program_headers:
        dd      PT_LOAD, 7
        dq      0, image, image
        dq      image_end - image, bss_end - image, 4096
        dd      PT_NOTE, 4
        dq      note - image, note, note
        dq      note_end - note, note_end - note, 4

        align   4
note:   dd      4, 4, PHYS32_ENTRY
        db      "Xen", 0
        dd      start
note_end:

        bits    32
start:
        cli
        cld
        mov     esp, stack_top
        cmp     dword [ebx], START_MAGIC
        jne     off

        ; the first 2 MiB at their own addresses
        mov     dword [pml4], pdpt + 3
        mov     dword [pdpt], directory + 3
        mov     dword [directory], 0x83
        mov     eax, cr4
        or      eax, 1 << 5             ; PAE
        mov     cr4, eax
        mov     eax, pml4
        mov     cr3, eax
        mov     ecx, 0xc0000080         ; EFER
        rdmsr
        or      eax, 1 << 8             ; LME
        wrmsr
        mov     eax, cr0
        or      eax, 1 << 31
        mov     cr0, eax
        lgdt    [gdt_pointer]
        jmp     CODE_64:long_mode

off:
        mov     dx, PM_CONTROL
        mov     ax, PM_SLEEP_S5
        out     dx, ax
        hlt
        jmp     off

        bits    64
long_mode:
        mov     eax, DATA
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     rax, 0x123456789abcdef0 ; only 64-bit mode has this instruction
        shr     rax, 32
        cmp     eax, 0x12345678
        jne     off_64

        mov     esi, mode_text
        call    put_text
        mov     esi, [rbx + INFO_CMDLINE]
        call    put_line

        mov     ebp, [rbx + INFO_MODULES]
        mov     edi, [rbx + INFO_LIST]
.module:
        test    ebp, ebp
        jz      .map
        mov     esi, module_text
        call    put_text
        mov     esi, [rdi + MODULE_TEXT]
        call    put_line
        add     edi, 32
        dec     ebp
        jmp     .module

.map:   mov     ecx, [rbx + INFO_ENTRIES]
        mov     edi, [rbx + INFO_MAP]
        xor     ebp, ebp                ; KiB of RAM
.range: cmp     dword [rdi + 16], 1
        jne     .next
        mov     eax, [rdi + 8]
        shr     eax, 10
        add     ebp, eax
.next:  add     edi, 24
        dec     ecx
        jnz     .range
        mov     esi, memory_text
        call    put_text
        mov     eax, ebp
        call    put_number
        mov     esi, kib_text
        call    put_text
        mov     esi, [rbx + INFO_RSDP]
        test    esi, esi
        jz      off_64
        mov     rax, 'RSD PTR '
        cmp     [rsi], rax
        jne     off_64
        mov     esi, acpi_text
        call    put_text
off_64:
        mov     dx, PM_CONTROL
        mov     ax, PM_SLEEP_S5
        out     dx, ax
        hlt
        jmp     off_64

; ESI: text that ends with a zero.
put_line:
        call    put_text
        mov     esi, end_text
        jmp     put_text

        %include "print.inc"

mode_text:      db      "pvh: in 64-bit mode, command line: ", 0
module_text:    db      "pvh: module: ", 0
memory_text:    db      "pvh: RAM: ", 0
kib_text:       db      " KiB", 13, 10, 0
acpi_text:      db      "pvh: ACPI's root pointer is there"
end_text:       db      13, 10, 0

        align   8
gdt:    dq      0
        dq      0x00af9b000000ffff
        dq      0x00cf93000000ffff
gdt_end:
gdt_pointer:
        dw      gdt_end - gdt - 1
        dd      gdt
image_end:

        absolute 0x102000
pml4:           resb    4096
pdpt:           resb    4096
directory:      resb    4096
                resb    4096
stack_top:
bss_end:
