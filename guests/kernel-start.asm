; kernel-start: the start of a bzImage whose kernel is not compressed. It moves the kernel to where it is linked and enters
; it by Linux' 32-bit boot protocol (Documentation/arch/x86/boot.rst). src/hypervisor/boot/unpacked-bzimage.ts puts it in
; front of the kernel and fills its table.
;
;       nasm -f bin -o kernel-start.bin kernel-start.asm        in this folder
;
; A boot loader may put the image anywhere, also over the place of the kernel: this code first copies itself behind both.
;
; At the entry: flat 32-bit segments, interrupts off, ESI = boot_params. There is no stack yet.

BP_SCRATCH      equ 0x1e4               ; a dword of boot_params, for the boot loader's and the kernel's use
LENGTH          equ 192                 ; of this file: the kernel follows
ALIGNMENT       equ 16

        bits    32
        org     0

start:
        cld
        lea     esp, [esi+BP_SCRATCH+4]
        call    .here
.here:  pop     ebx
        sub     ebx, .here              ; EBX = address of the image
        mov     ebp, esi                ; EBP = boot_params

        lea     edi, [ebx+LENGTH]
        add     edi, [ebx+kernel_bytes] ; the end of the image
        mov     eax, [ebx+kernel_at]
        add     eax, [ebx+kernel_bytes]
        add     eax, [ebx+zero_bytes]   ; the end of the kernel's memory
        cmp     eax, edi
        jbe     .behind
        mov     edi, eax
.behind:
        add     edi, ALIGNMENT-1
        and     edi, -ALIGNMENT
        mov     edx, edi                ; EDX = address of the copy
        mov     esi, ebx
        mov     ecx, LENGTH/4
        rep     movsd
        lea     eax, [edx+move]
        jmp     eax

move:   lea     esi, [ebx+LENGTH]
        mov     edi, [edx+kernel_at]
        mov     ecx, [edx+kernel_bytes]
        mov     eax, edi
        sub     eax, esi
        cmp     eax, ecx                ; unsigned: also "not below" if the kernel moves down
        jae     .upward
        ; It moves up by less than its length: the last bytes first.
        lea     esi, [esi+ecx-4]
        lea     edi, [edi+ecx-4]
        shr     ecx, 2
        std
        rep     movsd
        cld
        jmp     .zero
.upward:
        shr     ecx, 2
        rep     movsd

.zero:  mov     edi, [edx+kernel_at]
        add     edi, [edx+kernel_bytes]
        mov     ecx, [edx+zero_bytes]
        shr     ecx, 2
        xor     eax, eax
        rep     stosd

        mov     eax, [edx+entry]
        mov     esi, ebp
        xor     ebp, ebp
        xor     edi, edi
        xor     ebx, ebx
        jmp     eax

        times   LENGTH-16-($-start) db 0
; The table. Both lengths are multiples of 4.
kernel_at:      dd 0                    ; where the kernel is linked
kernel_bytes:   dd 0
zero_bytes:     dd 0                    ; memory behind these bytes, which the kernel expects to be 0
entry:          dd 0
