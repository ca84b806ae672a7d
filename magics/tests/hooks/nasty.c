// Functions that are hard to hook: each has something at its beginning that must not be moved, or must be moved well.

#include <setjmp.h>

__asm__(".intel_syntax noprefix\n.text\n"
#define FUNCTION(name, body) \
    ".p2align 4\n.globl " #name "\n.type " #name ",@function\n" #name ":\n.cfi_startproc\n" body \
    "\n.cfi_endproc\n.size " #name ",.-" #name "\n"
// Three bytes, and nops behind them.
FUNCTION(padded, "xor eax, eax\n ret\n")
// Three bytes, and another function at once.
FUNCTION(crowded, "xor eax, eax\n ret\n")
".globl crowding\n.type crowding,@function\ncrowding:\n.cfi_startproc\n mov eax, 3\n ret\n.cfi_endproc\n.size crowding,.-crowding\n"
// A branch leads to the second instruction.
FUNCTION(entered, "xor eax, eax\n 1: inc eax\n cmp eax, edi\n jl 1b\n ret\n")
// A table leads there.
FUNCTION(switched, "mov eax, edi\n 1: dec eax\n test eax, eax\n jle 2f\n movsxd rcx, eax\n and ecx, 1\n lea rdx, [rip + 3f]\n"
    " movsxd rcx, dword ptr [rdx + rcx * 4]\n add rcx, rdx\n jmp rcx\n 2: ret\n"
    ".section .rodata\n.p2align 2\n 3: .long 1b - 3b, 1b - 3b\n.text\n")
// Its own address.
FUNCTION(own, "lea rax, [rip + own]\n ret\n")
FUNCTION(pushed, "push r15\n lea rax, [rip + pushed]\n pop r15\n ret\n")
// Calls at once, of which the return address matters.
FUNCTION(returns, "mov rax, qword ptr [rsp]\n ret\n")
FUNCTION(calls, "call returns\n ret\n")
FUNCTION(calls_later, "sub rsp, 8\n call returns\n add rsp, 8\n ret\n")
FUNCTION(calls_through, "call qword ptr [rip + pointer]\n ret\n")
FUNCTION(calls_register, "push rbx\n call rdi\n pop rbx\n ret\n")
".data\n.p2align 3\npointer: .quad returns\n.text\n"
// Short branches.
FUNCTION(short_branch, "test edi, edi\n je 1f\n mov eax, 1\n ret\n 1: mov eax, 2\n ret\n")
FUNCTION(short_count, "mov rcx, rdi\n jrcxz 1f\n mov eax, 1\n ret\n 1: mov eax, 2\n ret\n")
FUNCTION(goes_away, "jmp short_branch\n")
// A mark for indirect jumps.
FUNCTION(marked, "endbr64\n mov eax, 5\n ret\n")
// It keeps values below the stack pointer, and begins again.
FUNCTION(looping, "test edi, edi\n je 1f\n mov eax, dword ptr [rsp - 16]\n add eax, edi\n mov dword ptr [rsp - 16], eax\n"
    " dec edi\n jmp looping\n 1: mov eax, dword ptr [rsp - 16]\n ret\n")
FUNCTION(loops, "mov dword ptr [rsp - 24], 0\n call looping\n ret\n")
// Flags and registers that a compiler may expect to stay.
FUNCTION(carries, "setc al\n movzx eax, al\n ret\n")
FUNCTION(carry, "sub rsp, 8\n stc\n call carries\n add rsp, 8\n ret\n")
FUNCTION(nothing, "nop dword ptr [rax + rax + 0]\n ret\n")
FUNCTION(keeps, "sub rsp, 8\n mov eax, 1\n mov ecx, 2\n mov edx, 4\n mov esi, 8\n mov edi, 16\n mov r8d, 32\n mov r9d, 64\n"
    " mov r10d, 128\n mov r11d, 256\n movd xmm0, r11d\n movd xmm15, r10d\n std\n cld\n call nothing\n"
    " add eax, ecx\n add eax, edx\n add eax, esi\n add eax, edi\n add eax, r8d\n add eax, r9d\n add eax, r10d\n add eax, r11d\n"
    " movd ecx, xmm0\n add eax, ecx\n movd ecx, xmm15\n add eax, ecx\n add rsp, 8\n ret\n")
".att_syntax\n");

static jmp_buf back;

__attribute__((noinline)) static void down(int depth) {
    if (depth == 0)
        longjmp(back, 7);
    down(depth - 1);
    __asm__ volatile("");
}

int jumps(int depth) {
    int answer = setjmp(back);
    if (answer == 0)
        down(depth);
    return answer;
}
