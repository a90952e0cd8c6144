; The accesses: ports and memory, read and written, 8 to 64 bits wide. Each is a loop, so that the
; same code makes one access here and is measured by the thousand in time.asm.
;
; The parameter of these commands is kind * 4 + log2 of the width in bytes, an index into
; access_loops.

KIND_IN         equ 0
KIND_OUT        equ 4
KIND_RD         equ 8
KIND_WR         equ 12
KIND_WRITES     equ 4                   ; this bit: it writes
KIND_MEMORY     equ 8                   ; this bit: it goes to memory
WIDTH_BITS      equ 3

        section .bss
        alignb  8
access_value:   resq 1                  ; what to write, or what was read

        section .text
        command      "in8",   do_access, KIND_IN + 0,  "in8|in16|in32 PORT", "read a port"
        also_command "in16",  do_access, KIND_IN + 1
        also_command "in32",  do_access, KIND_IN + 2
        command      "out8",  do_access, KIND_OUT + 0, "out8|out16|out32 PORT VALUE", "write a port"
        also_command "out16", do_access, KIND_OUT + 1
        also_command "out32", do_access, KIND_OUT + 2
        command      "rd8",   do_access, KIND_RD + 0,  "rd8|rd16|rd32|rd64 ADDR [COUNT]", "read memory or a device"
        also_command "rd16",  do_access, KIND_RD + 1
        also_command "rd32",  do_access, KIND_RD + 2
        also_command "rd64",  do_access, KIND_RD + 3
        command      "wr8",   do_access, KIND_WR + 0,  "wr8|wr16|wr32|wr64 ADDR VALUE", "write memory or a device"
        also_command "wr16",  do_access, KIND_WR + 1
        also_command "wr32",  do_access, KIND_WR + 2
        also_command "wr64",  do_access, KIND_WR + 3

do_access:
        mov     ebp, eax
        call    access_operands
        test    ebp, KIND_WRITES
        jnz     .write
        test    ebp, KIND_MEMORY
        jnz     .memory
        call    expect_end
        mov     ecx, 1
        call    access
        call    put_access_value
        jmp     new_line
.write: call    expect_end
        mov     ecx, 1
        jmp     access

; A row shows its address and 16 bytes, or one value when only one was asked for.
.memory:
        mov     eax, 1
        call    optional_number
        call    expect_end
        mov     ebx, eax                ; how many are left
        test    ebx, ebx
        jz      .done
.row:   mov     eax, edi
        call    put_0x32
        print   ":"
        mov     esi, 16                 ; bytes left in the row
.value: call    put_space
        mov     ecx, 1
        call    access
        call    put_access_value
        call    access_bytes
        add     edi, eax
        dec     ebx
        jz      .end
        sub     esi, eax
        jnz     .value
        call    new_line
        call    check_abort
        jnc     .row
        ret
.end:   call    new_line
.done:  ret

; EBP: parameter. Reads the port or address to EDI, and the value, if one is to be written, to
; access_value.
access_operands:
        push    eax
        push    edx
        mov     eax, ebp
        and     eax, WIDTH_BITS
        cmp     eax, 3
        jne     .width_known
        test    dword [cpu_features], FEATURE_MMX
        jnz     .width_known
        fail    "this processor has no MMX, so no access of 64 bits"
.width_known:
        call    required_number
        mov     edi, eax
        test    ebp, KIND_MEMORY
        jnz     .where_known
        test    eax, 0xffff0000
        jz      .where_known
        fail    "ports end at 0xffff"
.where_known:
        mov     dword [access_value], 0
        mov     dword [access_value + 4], 0
        test    ebp, KIND_WRITES
        jz      .done
        call    next_number64
        jc      fail_usage
        mov     [access_value], eax
        mov     [access_value + 4], edx
        push    ecx
        call    access_bytes
        mov     ecx, eax
        shl     ecx, 3                  ; bits
        mov     eax, [access_value]
        cmp     ecx, 64
        je      .fits
        test    edx, edx
        jnz     .too_wide
        cmp     ecx, 32
        je      .fits
        shr     eax, cl
        jz      .fits
.too_wide:
        fail    "the value is wider than the access"
.fits:  pop     ecx
.done:  pop     edx
        pop     eax
        ret

; EBP: parameter. EAX: bytes of one access.
access_bytes:
        push    ecx
        mov     ecx, ebp
        and     ecx, WIDTH_BITS
        mov     eax, 1
        shl     eax, cl
        pop     ecx
        ret

put_access_value:
        pushad
        call    access_bytes
        cmp     eax, 8
        je      .wide
        lea     ecx, [eax * 2]
        mov     eax, [access_value]
        call    put_0x
        popad
        ret
.wide:  mov     eax, [access_value]
        mov     edx, [access_value + 4]
        call    put_0x64
        popad
        ret

; EBP: parameter; EDI: port or address; ECX: how many times, not 0.
access:
        pushad
        mov     eax, [access_value]
        mov     edx, edi
        call    [access_loops + ebp * 4]
        popad
        ret

; An access again and again, ECX times; then keeps what is in EAX.
%macro access_loop 3                    ; label, instruction, operands
%1:
%%again:
        %2      %3
        dec     ecx
        jnz     %%again
        mov     [access_value], eax
        ret
%endmacro

        access_loop loop_in8,  in, {al, dx}
        access_loop loop_in16, in, {ax, dx}
        access_loop loop_in32, in, {eax, dx}
        access_loop loop_out8,  out, {dx, al}
        access_loop loop_out16, out, {dx, ax}
        access_loop loop_out32, out, {dx, eax}
        access_loop loop_rd8,  mov, {al, [edi]}
        access_loop loop_rd16, mov, {ax, [edi]}
        access_loop loop_rd32, mov, {eax, [edi]}
        access_loop loop_wr8,  mov, {[edi], al}
        access_loop loop_wr16, mov, {[edi], ax}
        access_loop loop_wr32, mov, {[edi], eax}

loop_rd64:
        movq    mm0, [edi]
        dec     ecx
        jnz     loop_rd64
        movq    [access_value], mm0
        emms
        ret
loop_wr64:
        movq    mm0, [access_value]
.again: movq    [edi], mm0
        dec     ecx
        jnz     .again
        emms
        ret

        section .data
        align   4
access_loops:
        dd      loop_in8, loop_in16, loop_in32, 0
        dd      loop_out8, loop_out16, loop_out32, 0
        dd      loop_rd8, loop_rd16, loop_rd32, loop_rd64
        dd      loop_wr8, loop_wr16, loop_wr32, loop_wr64

        section .text
