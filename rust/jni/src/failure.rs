//! Errors and panics as Java exceptions.

use jni::errors::ErrorPolicy;
use jni::objects::{JThrowable, JValue};
use jni::strings::JNIString;
use jni::{Env, jni_sig, jni_str};
use lakeflow_core::Error;
use std::any::Any;
use std::fmt;

/// What can go wrong in an entry point.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request failed.
    Request(Error),
    /// A JNI call failed; an exception may be pending already.
    Jni(jni::errors::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

impl From<jni::errors::Error> for Failure {
    fn from(error: jni::errors::Error) -> Self {
        Self::Jni(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Jni(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

/// Throws `LakeflowException(code, message, retry)` for errors and panics alike.
pub(crate) struct ThrowLakeflow;

impl<T: Default> ErrorPolicy<T, Failure> for ThrowLakeflow {
    type Captures<'local: 'native, 'native> = ();

    fn on_error<'local: 'native, 'native>(
        env: &mut Env<'local>,
        _: &mut (),
        failure: Failure,
    ) -> jni::errors::Result<T> {
        match failure {
            Failure::Request(error) => throw(env, &error),
            Failure::Jni(error) => {
                throw(env, &Error::internal(format!("a call of the Java machine failed: {error}")));
            }
        }

        Ok(T::default())
    }

    fn on_panic<'local: 'native, 'native>(
        env: &mut Env<'local>,
        _: &mut (),
        payload: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        throw(env, &lakeflow_door::panics::error(payload));

        Ok(T::default())
    }
}

/// Leaves an exception pending, whatever happens; one that is pending already stays.
fn throw(env: &mut Env<'_>, error: &Error) {
    if env.exception_check() {
        return;
    }
    let thrown = throw_typed(env, error);
    if thrown.is_err() && !env.exception_check() {
        let message = JNIString::from(format!("{}: {error}", error.kind().code()));
        // Both failing leaves nothing to tell Java with; the default value is returned then.
        let _ = env.throw_new(jni_str!("java/lang/RuntimeException"), message);
    }
}

fn throw_typed(env: &mut Env<'_>, error: &Error) -> jni::errors::Result<()> {
    // Within a native method the loader of its class is asked, which has the exception as well.
    let class = env.find_class(jni_str!("lakeflow/connect/errors/LakeflowException"))?;
    let code = env.new_string(error.kind().code())?;
    let message = env.new_string(error.to_string())?;
    let retry = env.new_string(error.retry_class().to_string())?;
    let exception = env.new_object(
        class,
        jni_sig!("(Ljava/lang/String;Ljava/lang/String;Ljava/lang/String;)V"),
        &[JValue::Object(&code), JValue::Object(&message), JValue::Object(&retry)],
    )?;
    let exception = env.cast_local::<JThrowable>(exception)?;

    env.throw(exception)
}
