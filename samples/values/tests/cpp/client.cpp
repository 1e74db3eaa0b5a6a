// Calls the values sample's server through its proxy DLL, with the header that `widl` generates from
// `values.idl`. Guard bytes around every [out] parameter detect writes of a proxy outside of it.
#include <stdio.h>
#include <string.h>
#include <windows.h>
#include "values.h"

static const IID INTERFACE = {0x7c0f7e0e, 0x3a54, 0x4c55, {0x9a, 0x13, 0x52, 0xf7, 0xa1, 0xf3, 0xc0, 0x01}};
static const CLSID CLASS = {0x7c0f7e0e, 0x3a54, 0x4c55, {0x9a, 0x13, 0x52, 0xf7, 0xa1, 0xf3, 0xc0, 0x03}};

static int failures = 0, checks = 0, guarded = 0;

static void check(bool holds, const char *what) {
    checks++;
    if (holds) return;
    failures++;
    printf("client in C++: FAILED: %s\n", what);
}

// A variable for an [out] parameter, between guard bytes that must not change.
template <typename T> struct Guarded {
    // Packed, so that there is no padding between the value and the guards.
#pragma pack(push, 1)
    struct { unsigned char before[16]; T value; unsigned char after[16]; } room;
#pragma pack(pop)
    const char *name;
    explicit Guarded(const char *name) : name(name) { memset(&room, 0xa5, sizeof room); }
    T *out() { return &room.value; }
    T &get() { return room.value; }
    ~Guarded() {
        guarded++;
        for (unsigned char byte : room.before) if (byte != 0xa5) { check(false, name); return; }
        for (unsigned char byte : room.after) if (byte != 0xa5) { check(false, name); return; }
    }
};

static void values(IValues *object) {
    {
        Guarded<byte> c("Bytes c"); Guarded<short> d("Bytes d");
        check(object->Bytes(0xfe, -2, c.out(), d.out()) == S_OK, "Bytes");
        check(c.get() == 0xfe && d.get() == -2, "the bytes");
    }
    {
        Guarded<LONG> e("Numbers e"); Guarded<float> f("Numbers f"); Guarded<double> g("Numbers g"); Guarded<hyper> h("Numbers h");
        check(object->Numbers(-3, 1.5f, -2.25, -(1ll << 40), e.out(), f.out(), g.out(), h.out()) == S_OK, "Numbers");
        check(e.get() == -3 && f.get() == 1.5f && g.get() == -2.25 && h.get() == -(1ll << 40), "the numbers");
    }
    for (BOOL truth = 0; truth < 2; truth++) {
        Guarded<BOOL> b("Truth b");
        check(object->Truth(truth, b.out()) == S_OK && b.get() == truth, "Truth");
    }
    {
        Guarded<Shade> c("Enums c"); Guarded<Extent> d("Enums d");
        check(object->Enums(SHADE_DARK, EXTENT_HUGE, c.out(), d.out()) == S_OK, "Enums");
        check(c.get() == SHADE_DARK && d.get() == EXTENT_HUGE, "the enums");
    }
    {
        Place place = {-5, 1ll << 33, 9};
        Guarded<Place> c("Structs c"); Guarded<GUID> d("Structs d");
        check(object->Structs(&place, INTERFACE, c.out(), d.out()) == S_OK, "Structs");
        check(c.get().x == -5 && c.get().y == 1ll << 33 && c.get().z == 9, "the struct");
        check(IsEqualGUID(d.get(), INTERFACE), "the GUID, which is passed by value");
    }
    {
        Guarded<LPWSTR> c("Texts c");
        check(object->Texts(L"sp\u00e4rkle", L"two", c.out()) == S_OK, "Texts");
        check(!wcscmp(c.get(), L"sp\u00e4rkle+two"), "the texts");
        CoTaskMemFree(c.get());
        check(object->Texts(L"", NULL, c.out()) == S_OK && !wcscmp(c.get(), L"+none"), "a text that is missing");
        CoTaskMemFree(c.get());
    }
    {
        LONG numbers[] = {1, -2, 3};
        LPCWSTR texts[] = {L"a", L"", L"bcd", L"e"};
        Guarded<ULONG> o("Lists o"), p("Lists p"); Guarded<LONG *> c("Lists c"); Guarded<LPWSTR *> d("Lists d");
        check(object->Lists(3, numbers, 4, texts, o.out(), c.out(), p.out(), d.out()) == S_OK, "Lists");
        check(o.get() == 3 && !memcmp(c.get(), numbers, sizeof numbers), "the numbers of a list");
        check(p.get() == 4 && !wcscmp(d.get()[2], L"bcd") && !wcscmp(d.get()[1], L""), "the texts of a list");
        for (ULONG at = 0; at < p.get(); at++) CoTaskMemFree(d.get()[at]);
        CoTaskMemFree(d.get());
        CoTaskMemFree(c.get());
        check(object->Lists(0, numbers, 0, texts, o.out(), c.out(), p.out(), d.out()) == S_OK, "empty lists");
        check(o.get() == 0 && p.get() == 0, "the counts of empty lists");
        CoTaskMemFree(d.get());
        CoTaskMemFree(c.get());
    }
    {
        LONG number = 77;
        Place place = {1, 2, 3};
        Guarded<Place *> c("Maybe c");
        check(object->Maybe(&number, &place, c.out()) == S_OK && c.get() && c.get()->y == 77, "Maybe");
        CoTaskMemFree(c.get());
        check(object->Maybe(NULL, NULL, c.out()) == S_OK && !c.get(), "nothing");
    }
    {
        LONG marks[] = {4, 5};
        Place place = {1, 2, 3};
        WCHAR text[] = L"note";
        Note note = {text, TRUE, 2, marks, &place};
        Guarded<Note> b("Notes b");
        memset(b.out(), 0, sizeof(Note));
        check(object->Notes(&note, b.out()) == S_OK, "Notes");
        Note &back = b.get();
        check(!wcscmp(back.text, L"note") && back.done == TRUE && back.count == 2, "the note");
        check(!memcmp(back.marks, marks, sizeof marks) && back.where && back.where->y == 2, "what it points at");
        CoTaskMemFree(back.text);
        CoTaskMemFree(back.marks);
        CoTaskMemFree(back.where);
    }
    {
        HANDLE event = CreateEventW(NULL, FALSE, FALSE, NULL);
        Guarded<HANDLE> b("Events b"); Guarded<byte> c("Events c");
        check(object->Events(event, b.out(), c.out()) == S_OK && c.get() == 7, "Events");
        check(b.get() != event && WaitForSingleObject(b.get(), 0) == WAIT_OBJECT_0, "the event that came back");
        check(WaitForSingleObject(event, 0) == WAIT_TIMEOUT, "it is the same event");
        CloseHandle(b.get());
        CloseHandle(event);
    }
    {
        Guarded<IValues *> c("Objects c");
        check(object->Objects(object, NULL, c.out()) == S_OK && c.get(), "Objects");
        Guarded<BOOL> b("Truth of the object");
        check(c.get()->Truth(TRUE, b.out()) == S_OK && b.get() == TRUE, "a call of the object");
        c.get()->Release();
    }
}

int main() {
    if (FAILED(CoInitializeEx(NULL, COINIT_MULTITHREADED))) return 2;
    IValues *object = NULL;
    HRESULT result = E_FAIL;
    for (int time = 0; time < 5 && FAILED(result); time++) {
        result = CoCreateInstance(CLASS, NULL, CLSCTX_LOCAL_SERVER, INTERFACE, (void **)&object);
        if (FAILED(result)) Sleep(500);
    }
    if (FAILED(result)) {
        printf("client in C++: the activation: 0x%08lx\n", (unsigned long)result);
        return 3;
    }
    values(object);
    object->Release();
    printf("client in C++: %d checks, %d variables between guards, %d failed\n", checks, guarded, failures);
    return failures ? 1 : 0;
}
