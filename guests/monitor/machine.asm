; What the machine is: processor and memory. init_cpu also readies the processor for 64-bit
; accesses.

EFLAGS_ID       equ 1 << 21             ; can be changed where there is CPUID
FEATURE_TSC     equ 1 << 4              ; leaf 1, EDX
FEATURE_MMX     equ 1 << 23
FEATURE_HYPERVISOR equ 1 << 31          ; leaf 1, ECX
CR0_MP          equ 1 << 1
CR0_EM          equ 1 << 2
CR0_TS          equ 1 << 3
MAP_LIMIT       equ 64                  ; entries of the memory map shown

        section .bss
        alignb  4
cpu_max_leaf:   resd 1                  ; 0 also where there is no CPUID
cpu_features:   resd 1                  ; leaf 1, EDX
cpu_features_c: resd 1                  ; leaf 1, ECX
cpu_signature:  resd 1                  ; leaf 1, EAX
cpu_vendor:     resb 13
hypervisor_vendor: resb 13

        section .text
init_cpu:
        pushad
        pushfd
        pop     eax
        mov     ecx, eax
        xor     eax, EFLAGS_ID
        push    eax
        popfd
        pushfd
        pop     eax
        cmp     eax, ecx
        je      .done
        xor     eax, eax
        cpuid
        mov     [cpu_max_leaf], eax
        mov     [cpu_vendor], ebx
        mov     [cpu_vendor + 4], edx
        mov     [cpu_vendor + 8], ecx
        test    eax, eax
        jz      .done
        mov     eax, 1
        cpuid
        mov     [cpu_signature], eax
        mov     [cpu_features], edx
        mov     [cpu_features_c], ecx
        test    edx, FEATURE_MMX
        jz      .no_mmx
        mov     eax, cr0
        and     eax, ~(CR0_EM | CR0_TS)
        or      eax, CR0_MP
        mov     cr0, eax
        fninit
.no_mmx:
        test    ecx, FEATURE_HYPERVISOR
        jz      .done
        mov     eax, 0x40000000
        cpuid
        mov     [hypervisor_vendor], ebx
        mov     [hypervisor_vendor + 4], ecx
        mov     [hypervisor_vendor + 8], edx
.done:  popad
        ret

        command "cpu", do_cpu, 0, "cpu", "the processor: maker, features, speed"

do_cpu:
        call    expect_end
        cmp     dword [cpu_max_leaf], 0
        jne     .known
        fail    "this processor has no CPUID"
.known: mov     esi, cpu_vendor
        call    put_vendor
        mov     ebx, [cpu_signature]
        print   ", family "
        mov     eax, ebx
        shr     eax, 8
        and     eax, 15
        cmp     eax, 15
        jne     .family
        mov     eax, ebx
        shr     eax, 20
        and     eax, 255
        add     eax, 15
.family:
        call    put_decimal
        print   " model "
        mov     eax, ebx
        shr     eax, 4
        and     eax, 15
        mov     ecx, ebx
        shr     ecx, 12
        and     ecx, 0xf0               ; the extended model counts in families 6 and 15; elsewhere it is zero
        or      eax, ecx
        call    put_decimal
        print   " stepping "
        mov     eax, ebx
        and     eax, 15
        call    put_decimal
        print   CR, LF, "features:"
        mov     eax, [cpu_features]
        mov     esi, feature_names
        call    .list
        mov     eax, [cpu_features_c]
        mov     esi, feature_names_c
        call    .list
        call    new_line
        test    dword [cpu_features_c], FEATURE_HYPERVISOR
        jz      .speed
        print   "hypervisor: "
        mov     esi, hypervisor_vendor
        call    put_vendor
        call    new_line
.speed: test    byte [cpu_features], FEATURE_TSC
        jz      .done
        call    need_time
        print   "time-stamp counter: "
        mov     eax, [tsc_khz]
        call    put_decimal
        print   " kHz", CR, LF
.done:  ret

; EAX: bits; ESI: a list of a bit's number and its name, 255 at the end.
.list:  movzx   ecx, byte [esi]
        inc     esi
        cmp     ecx, 255
        je      .done
        bt      eax, ecx
        jnc     .skip
        call    put_space
        call    put_text
.skip:  cmp     byte [esi], 0
        lea     esi, [esi + 1]
        jne     .skip
        jmp     .list

; ESI: twelve bytes, of which a zero may end the text earlier.
put_vendor:
        pushad
        mov     ebx, esi
        xor     ecx, ecx
.next:  cmp     byte [ebx + ecx], 0
        je      .put
        inc     ecx
        cmp     ecx, 12
        jb      .next
.put:   call    put_word
        popad
        ret

        section .data
feature_names:
        db      0, "fpu", 0, 3, "pse", 0, 4, "tsc", 0, 5, "msr", 0, 6, "pae", 0, 8, "cx8", 0, 9, "apic", 0
        db      13, "pge", 0, 15, "cmov", 0, 16, "pat", 0, 23, "mmx", 0, 24, "fxsr", 0, 25, "sse", 0, 26, "sse2", 0, 255
feature_names_c:
        db      0, "sse3", 0, 9, "ssse3", 0, 19, "sse4.1", 0, 20, "sse4.2", 0, 21, "x2apic", 0, 28, "avx", 0
        db      30, "rdrand", 0, 31, "hypervisor", 0, 255

        section .text
        command "mem", do_mem, 0, "mem", "memory, as reported by the loader"

do_mem:
        call    expect_end
        mov     ebx, [multiboot_info]
        test    ebx, ebx
        jnz     .info
        fail    "no multiboot loader started this program: the memory is unknown"
.info:  test    byte [ebx], 1 << 0      ; flags: the sizes are there
        jz      .map
        mov     eax, [ebx + 4]
        call    put_decimal
        print   " KiB low, "
        mov     eax, [ebx + 8]
        call    put_decimal
        print   " KiB from 1 MiB on", CR, LF
.map:   test    byte [ebx], 1 << 6      ; flags: the map is there
        jz      .done
        mov     ebp, MAP_LIMIT
        mov     esi, [ebx + 48]
        mov     edi, [ebx + 44]         ; its bytes
.entry: sub     edi, 24
        jc      .done
        mov     eax, [esi + 4]
        mov     edx, [esi + 8]
        call    put_0x64
        print   ", "
        mov     eax, [esi + 12]
        mov     edx, [esi + 16]
        call    put_0x64
        print   " bytes"
        cmp     dword [esi + 20], 1
        je      .usable
        print   ", reserved"
.usable:
        call    new_line
        mov     eax, [esi]              ; of this entry, without this word
        cmp     eax, 20
        jb      .done
        sub     eax, 20
        sub     edi, eax
        jc      .done
        lea     esi, [esi + eax + 24]
        dec     ebp
        jnz     .entry
.done:  ret
