/* The sample's interface as a C program has it, written by hand from samples/sparkle/idl/sparkle.idl:
 * nothing of it comes from MIDL, or from Rust. */
#ifndef SPARKLE_H
#define SPARKLE_H

#define COBJMACROS
#define INITGUID
#include <windows.h>
#include <objbase.h>
#include <oleauto.h>
#include <stdio.h>
#include <stdlib.h>

DEFINE_GUID(CLSID_SparkleFinisher, 0xea27c73a, 0x48c2, 0x4714, 0x9d, 0x20, 0xa9, 0xd2, 0xc4, 0xf6,
            0xae, 0xd3);
DEFINE_GUID(IID_ISparkleFinisher, 0x1284c788, 0x6978, 0x43d5, 0x9a, 0x02, 0x41, 0x49, 0x01, 0xa2,
            0xec, 0x75);

typedef struct ISparkleFinisher ISparkleFinisher;

typedef struct {
    HRESULT(STDMETHODCALLTYPE *QueryInterface)(ISparkleFinisher *, REFIID, void **);
    ULONG(STDMETHODCALLTYPE *AddRef)(ISparkleFinisher *);
    ULONG(STDMETHODCALLTYPE *Release)(ISparkleFinisher *);
    HRESULT(STDMETHODCALLTYPE *AddSparkleFinishToFile)
    (ISparkleFinisher *, HANDLE decorateThisFile, HANDLE whenThisEventFires, HANDLE *willNotifyWhenDone);
} ISparkleFinisherVtbl;

struct ISparkleFinisher {
    const ISparkleFinisherVtbl *lpVtbl;
};

/* Longer than anything takes. */
#define PATIENCE_MS 30000

#endif
